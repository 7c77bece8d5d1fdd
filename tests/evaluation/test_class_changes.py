"""Draws that are taken for another class, counted."""

import numpy as np
import pytest

from toolkit.evaluation.class_changes import measure_change

CLASSES = ["a", "b", "c"]
SURE_A, SURE_B, SURE_C = np.float32([[0.96, 0.02, 0.02], [0.02, 0.96, 0.02], [0.02, 0.02, 0.96]])
UNCLEAR = np.float32([0.05, 0.48, 0.47])
HALF = np.float32([0.3, 0.7, 0.0])


def change(labels, *draws, classes=CLASSES):
    return measure_change("Flip", np.array(labels), np.array(draws), classes)


def test_what_keeps_its_class_is_not_turned():
    found = change([0, 1], [SURE_A, SURE_B], [SURE_A, SURE_B])
    assert (found.name, found.draws, found.turned, found.unclear) == ("Flip", 4, 0.0, 0.0)
    assert found.pairs == [] and found.worst == [] and not found.often and found.cost is None


def test_turned_and_unclear_are_told_apart():
    found = change([0, 0, 0, 1], [SURE_B, UNCLEAR, HALF, SURE_B])
    assert found.turned == found.unclear == 0.25
    assert found.pairs == [("a", "b", pytest.approx(1 / 3))]


def test_pairs_are_shares_of_the_classs_draws_and_the_most_frequent_comes_first():
    found = change([0, 0, 1], [SURE_B, SURE_C, SURE_B], [SURE_B, SURE_A, SURE_C])
    assert found.turned == pytest.approx(4 / 6)
    assert found.pairs[0] == ("a", "b", 0.5)
    assert sorted(found.pairs[1:]) == [("a", "c", 0.25), ("b", "c", 0.5)]


def test_the_most_confident_draw_of_each_pair_is_the_worst():
    less = np.float32([0.05, 0.9, 0.05])
    found = change([0, 0, 2], [less, SURE_A, SURE_C], [SURE_A, SURE_B, SURE_A])
    assert [(w.image, w.number, w.label, w.other) for w in found.worst] == [
        (1, 1, "a", "b"),
        (2, 1, "c", "a"),
    ]
    assert found.worst[0].probability == pytest.approx(0.96)


@pytest.mark.parametrize(("turned", "often"), [(0, False), (19, False), (20, True), (100, True)])
def test_an_offender_turns_a_fifth_of_all_draws(turned, often):
    labels = np.arange(100) % 50  # Two of each: no pair has enough images.
    draws = np.eye(50, dtype=np.float32)[labels]
    draws[:turned] = np.eye(50, dtype=np.float32)[(labels[:turned] + 1) % 50]
    classes = [str(k) for k in range(50)]
    assert measure_change("x", labels, draws[None], classes).often == often


@pytest.mark.parametrize(("images", "often"), [(2, False), (3, True)])
def test_or_most_of_one_classs_into_one_other(images, often):
    labels = [0] * images + [1] * 100
    found = change(labels, [SURE_B] * images + [SURE_B] * 100)
    assert found.turned < 0.2 and found.often == often


def test_draws_of_the_same_image_are_one_image():
    draws = [[SURE_B] * 2 + [SURE_B] * 100] * 4
    assert not change([0] * 2 + [1] * 100, *draws).often
