"""The check of a policy: which of its transforms turn images into other classes."""

import dataclasses

import albumentations
import numpy as np
import pytest
from PIL import Image, ImageDraw

import toolkit
from tests.conftest import quietly, write_images
from toolkit import backbones
from toolkit.class_changes import UncheckedError, check_policy, choose_images, places_network
from toolkit.data.policies import choose_policy
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.table import TEST, TRAIN, VALIDATION
from toolkit.progress import Reporter

SIZE = 64


@pytest.fixture(scope="module")
def arrows(tmp_path_factory):
    """Arrows to the left and to the right, and crosses, each in front of noise."""
    folder = tmp_path_factory.mktemp("arrows") / "arrows"
    random = np.random.default_rng(0)
    shapes = {
        "left": [(10, 32, 54, 32), (10, 32, 26, 16), (10, 32, 26, 48)],
        "right": [(10, 32, 54, 32), (54, 32, 38, 16), (54, 32, 38, 48)],
        "cross": [(10, 32, 54, 32), (32, 10, 32, 54)],
    }
    for name, lines in shapes.items():
        (folder / name).mkdir(parents=True)
        for k in range(24):
            noise = random.normal(200, 20, (SIZE, SIZE, 3)).clip(0, 255).astype(np.uint8)
            image = Image.fromarray(noise)
            moved = np.tile(random.integers(-5, 6, 2), 2)
            for line in lines:
                ImageDraw.Draw(image).line(tuple(line + moved), (30, 30, 60), 5)
            image.save(folder / name / f"{k:02}.png")
    return folder


@pytest.fixture(scope="module")
def network():
    return backbones.load("efficientnet-lite0", image_size=SIZE)


def scanned(folder):
    return scan(list_source(folder), 10**8, quietly)


def checked(folder, network, policy="light"):
    preparation = Preparation(SIZE, SIZE)
    return check_policy(policy, scanned(folder), network, preparation, 0, Reporter(quiet=True))


def test_the_transform_that_turns_images_into_another_class_is_found(arrows, network):
    found = checked(arrows, network)

    by_name = {change.name: change for change in found.changes}
    assert list(by_name) == ["Affine", "RandomBrightnessContrast", "HorizontalFlip"]
    flip = by_name.pop("HorizontalFlip")
    assert flip.often and {pair[:2] for pair in flip.pairs[:2]} == {
        ("left", "right"),
        ("right", "left"),
    }
    assert flip.turned > 0.5
    assert flip.cost > 0.1, "left and right are no longer told apart"
    for change in by_name.values():
        assert not change.often and change.turned < 0.1 and change.cost is None
    assert found.policy.turned == pytest.approx(flip.turned / 2, abs=0.15)
    for worst in flip.worst:
        assert found.images.classes[found.images.labels[worst.image]] == worst.label
    again = checked(arrows, network)
    assert (again.changes, again.policy) == (found.changes, found.policy)


def test_own_pipelines_are_checked_and_what_never_came_is_no_other_class(arrows, network):
    steps = [albumentations.VerticalFlip(p=0.1), albumentations.RandomBrightnessContrast(p=1.0)]
    found = checked(arrows, network, choose_policy(albumentations.OneOf(steps), True))
    assert [change.often for change in found.changes] == [False, False]
    assert found.policy.name == "the pipeline"


def test_the_probe_sees_where_things_are(network):
    model = places_network(network)
    image = np.full([1, SIZE, SIZE, 3], 200, np.float32)
    image[:, 8:40, 4:24] = 30
    both = np.concatenate([image, image[:, :, ::-1]])
    values = model.predict_on_batch(both)
    pooled = network.model.predict_on_batch(both)

    def difference(pair):
        return np.linalg.norm(pair[0] - pair[1]) / np.linalg.norm(pair[0])

    assert difference(values) > 2 * difference(pooled)


@pytest.mark.parametrize("name", ["resnet50", "nasnet-mobile", "inception-v3", "convnext-tiny"])
def test_every_kind_of_network_has_middle_layers(name):
    network = backbones.load(name, weights="random", image_size=96)
    (width,) = places_network(network).output_shape[1:]
    assert width % 9 == 0 and 9 * 100 <= width <= 9 * 1100


def test_images_are_chosen_by_content_as_many_of_each_class(tmp_path):
    table = scanned(write_images(tmp_path / "photos", 20))
    chosen = choose_images(table)
    assert list(chosen.split(TRAIN).counts()) == [14] * 3
    assert list(chosen.split(VALIDATION).counts()) == [6] * 3
    assert len(set(chosen.digests)) == 60
    again = choose_images(table.rows(np.random.default_rng(0).permutation(60)))
    assert dict(zip(again.digests, again.splits, strict=True)) == dict(
        zip(chosen.digests, chosen.splits, strict=True)
    )


def test_large_data_is_sampled_and_a_test_split_left_alone(tmp_path):
    table = scanned(write_images(tmp_path / "photos", 20))
    many = table.rows(np.tile(np.arange(60), 40))
    digests = np.array([f"{k:032x}" for k in range(len(many))], object)
    many = dataclasses.replace(many, digests=digests)
    chosen = choose_images(many)
    assert list(chosen.split(TRAIN).counts()) == [333] * 3
    assert list(chosen.split(VALIDATION).counts()) == [66] * 3
    tested = np.array([TEST, ""] * (len(many) // 2), object)
    chosen = choose_images(dataclasses.replace(many, splits=tested))
    assert set(chosen.digests) == set(digests[tested == ""]) & set(chosen.digests)
    assert len(chosen)


def test_small_classes_are_left_out_and_labels_follow(tmp_path):
    folder = write_images(tmp_path / "photos", 20)
    for path in sorted((folder / "green").iterdir())[4:]:
        path.unlink()
    chosen = choose_images(scanned(folder))
    assert chosen.classes == ["blue", "red"]
    named = [chosen.classes[label] for label in chosen.labels]
    assert named == [path.split("/")[0] for path in chosen.paths]


def test_where_nothing_can_be_tested_it_is_said(tmp_path, network):
    few = write_images(tmp_path / "few", 4)
    with pytest.raises(UncheckedError, match="two classes of at least 5 different images"):
        choose_images(scanned(few))
    same = {"one": (90, 90, 90), "other": (90, 90, 90)}
    alike = write_images(tmp_path / "alike", 10, same)
    with pytest.raises(UncheckedError, match=r"sure of \d of the 6 images .*, and 10 are needed"):
        checked(alike, network)
    result = toolkit.augment(few, tmp_path / "few.png", image_size=32, quiet=True)
    assert result.path.exists() and result.policy is None and result.transforms == []
    assert result.unchecked == "it needs two classes of at least 5 different images"
