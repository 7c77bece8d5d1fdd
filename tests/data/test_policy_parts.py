"""Policies taken apart."""

import albumentations
import numpy as np
import pytest

from toolkit.data.augment import Augmenter
from toolkit.data.policies import POLICIES, choose_policy
from toolkit.data.policy_parts import parts_of

SIZE = 24


def parts(*steps):
    return parts_of(choose_policy(albumentations.Compose(list(steps)), True), SIZE, SIZE)


def names(*steps):
    return [part.name for part in parts(*steps)]


def draw(policy: str, images: np.ndarray) -> np.ndarray:
    return Augmenter(policy)(images, np.arange(len(images))[:, None])


def test_a_named_policy_is_its_steps_and_those_with_one_name_are_told_apart():
    light = ["Affine", "RandomBrightnessContrast", "HorizontalFlip"]
    assert [part.name for part in parts_of("light", SIZE, SIZE)] == light
    assert [part.name for part in parts_of("light-no-flip", SIZE, SIZE)] == light[:2]
    trivial = [part.name for part in parts_of("trivial", SIZE, SIZE)]
    assert len(set(trivial)) == len(trivial) == 14, "14 things, one of which is nothing, and a flip"
    assert "Affine(rotate=[-135.0, 135.0])" in trivial
    assert "ColorJitter(contrast=[0.01, 1.99])" in trivial


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_each_part_is_a_policy_that_always_draws(policy):
    images = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)
    for part in parts_of(policy, SIZE, SIZE):
        drawn = draw(part.policy, images)
        assert drawn.shape == images.shape and drawn.dtype == np.uint8
        if part.name == "HorizontalFlip":
            np.testing.assert_array_equal(drawn, images[:, :, ::-1])


def test_transforms_are_found_however_deep_they_are_nested():
    flip, invert = albumentations.HorizontalFlip(p=0.1), albumentations.InvertImg(p=0.5)
    turn, grey = albumentations.RandomRotate90(p=1.0), albumentations.ToGray(p=0.2)
    nested = albumentations.Sequential([flip, albumentations.SomeOf([invert, turn], n=1)], p=0.3)
    found = names(albumentations.OneOf([nested, albumentations.Compose([grey])], p=0.5))
    assert found == ["HorizontalFlip", "InvertImg", "RandomRotate90", "ToGray"]


def test_transforms_that_differ_in_their_chance_alone_are_one_part():
    steps = [albumentations.HorizontalFlip(p=p) for p in (0.1, 0.9)]
    assert names(*steps) == ["HorizontalFlip"]
    turns = [albumentations.Rotate(limit=limit, p=0.5) for limit in (10, 20, 10, 10)]
    assert names(*turns, *turns) == names(*turns)
    assert "Rotate(limit=[-20.0, 20.0])" in names(*turns) and len(names(*turns)) == 2


def test_transforms_that_work_only_together_stay_together():
    crop = albumentations.RandomCrop(12, 12, p=1.0)
    back = albumentations.Resize(SIZE, SIZE, p=1.0)
    together = albumentations.Sequential([crop, back], p=0.5)
    flip = albumentations.HorizontalFlip(p=0.5)
    assert names(together, flip) == ["Sequential(RandomCrop, Resize)", "HorizontalFlip"]
    whole = parts(crop, back, flip)
    assert [part.name for part in whole] == ["Compose(RandomCrop, Resize, HorizontalFlip)"]
    images = np.zeros([2, SIZE, SIZE, 3], np.uint8)
    assert draw(whole[0].policy, images).shape == images.shape
