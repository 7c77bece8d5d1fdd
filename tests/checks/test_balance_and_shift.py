import numpy as np
import pytest

from tests.checks.facts import by_kind, make_facts
from toolkit.checks.balance import check_balance
from toolkit.checks.findings import DOUBTFUL, SERIOUS
from toolkit.checks.shift import check_shift

HALF = ["train"] * 300 + ["test"] * 300


def test_even_classes_give_no_finding():
    assert check_balance(make_facts(40)) == []


def test_small_uneven_and_missing_classes_are_named():
    labels = [0] * 200 + [1] * 20 + [2] * 19
    found = by_kind(check_balance(make_facts(239, labels=labels, classes=["a", "b", "c", "d"])))
    assert found["few-images"].title == "2 classes with fewer than 20 images: 'd' (0), 'c' (19)"
    assert found["imbalance"].title == "'a' has 11 times as many images as 'c'"
    one = by_kind(check_balance(make_facts(30, labels=[0] * 30, classes=["a"])))
    assert one["classes"].severity == SERIOUS and one["classes"].title.startswith("1 class:")


def test_splits_alike_give_no_finding():
    alarms = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        columns = {name: random.normal(120, 30, 600) for name in ("brightness", "contrast")}
        labels = random.integers(0, 2, 600)
        size = random.integers(90, 110, 600)
        facts = make_facts(600, splits=HALF, labels=labels, height=size, width=size, **columns)
        alarms += len(check_shift(facts))
    assert alarms <= 1  # Each of 20 data sets has a chance of 1 %.


@pytest.mark.parametrize(
    ("column", "name"),
    [("brightness", "brightness"), ("contrast", "contrast"), ("height", "size")],
)
def test_a_split_that_differs_is_named_with_how(column, name):
    random = np.random.default_rng(0)
    values = random.normal(120, 10, 600)
    values[300:] += 25
    found = check_shift(make_facts(600, splits=HALF, **{column: values}))
    titles = [each.title for each in found]
    [title] = [each for each in titles if f"training images in {name} " in each]
    assert title.startswith("The test images differ from the training images in")
    assert "(median 1" in title and " against 1" in title
    assert all(each.severity == SERIOUS for each in found)


def test_turned_photos_have_the_shape_they_are_shown_in():
    sides = {"height": [100] * 600, "width": [200] * 600}
    assert check_shift(make_facts(600, splits=HALF, **sides)) == []
    lying = make_facts(600, splits=HALF, **sides, orientation=[1] * 300 + [6] * 300)
    [found] = check_shift(lying)
    assert "in width / height (median 0.5 against 2)" in found.title


def test_other_shares_of_the_classes_are_named():
    labels = [k % 2 for k in range(300)] + [k % 4 == 0 for k in range(300)]
    [found] = check_shift(make_facts(600, splits=HALF, labels=labels))
    assert "in classes ('a' 75% against 50%)" in found.title and found.severity == DOUBTFUL


def test_a_small_difference_is_not_told_however_sure():
    random = np.random.default_rng(0)
    count = 40_000
    splits = ["train", "test"] * (count // 2)
    brightness = random.normal(120, 10, count)
    brightness[1::2] += 1
    assert (
        check_shift(
            make_facts(count, splits=splits, brightness=brightness, labels=[0, 1, 1, 0] * 10_000)
        )
        == []
    )


def test_too_few_images_are_not_compared():
    facts = make_facts(25, splits=["train"] * 20 + ["test"] * 5, brightness=[0] * 20 + [255] * 5)
    assert check_shift(facts) == []
