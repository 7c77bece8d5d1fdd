"""Macro-F1 of uneven classes, each counted the same."""

import pytest
from sklearn.metrics import f1_score

from benchmarks import imbalance
from tests.benchmarks.small import small_settings
from tests.conftest import COLOURS, write_images

pytestmark = pytest.mark.slow

ROWS = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b"), ("b", "a"), ("b", "b")]


def test_it_is_that_of_classes_with_as_many_photos(tmp_path):
    lines = ["path,label,predicted", *(f"x,{label},{predicted}" for label, predicted in ROWS)]
    (tmp_path / "predictions.csv").write_text("\n".join(lines))
    labels, predicted = zip(*(ROWS[:2] * 2 + ROWS[2:]), strict=True)
    expected = f1_score(labels, predicted, average="macro")
    assert imbalance.even_macro_f1(tmp_path / "predictions.csv") == pytest.approx(expected)


@pytest.mark.usefixtures("tiny")
def test_each_way_is_measured_on_all_that_is_unseen(tmp_path):
    names = list(COLOURS)
    photos = write_images(tmp_path / "photos", 35)
    wrong = {name: COLOURS[names[k - 1]] for k, name in enumerate(names)}
    write_images(photos, 8, wrong, first_seed=500)
    settings = small_settings(photos, epochs=0)
    unseen, test, accuracy = imbalance.run(settings).comparisons
    ways = {f"--imbalance {way}" for way in imbalance.WAYS}
    assert unseen.medians.keys() == test.medians.keys() == accuracy.medians.keys() == ways
    assert all(0 < value <= 1 for value in unseen.medians.values())
    assert unseen.medians != test.medians, "other photos"
