"""The recipes' smaller manifests."""

import csv
from collections import Counter

import pytest

from recipes._subsets import few_of_each, thinned
from tests.conftest import write_images


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three classes of 40 photos."""
    return str(write_images(tmp_path_factory.mktemp("subsets") / "photos", 40))


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def counts(path):
    return Counter((row["label"], row["split"]) for row in rows_of(path))


def test_few_of_each_class_and_all_for_the_test(photos, tmp_path):
    few = few_of_each(photos, tmp_path, 10, seed=0).location
    found, whole = counts(few), counts(tmp_path / "all-0.csv")
    for label in {label for label, _ in whole}:
        assert (found[label, "train"], found[label, "validation"]) == (8, 2)
        assert found[label, "test"] == whole[label, "test"]
    rows = rows_of(few)
    assert rows_of(few_of_each(photos, tmp_path, 10, seed=0).location) == rows
    other = rows_of(few_of_each(photos, tmp_path, 10, seed=1).location)
    assert {row["path"] for row in other} != {row["path"] for row in rows}


def test_classes_become_uneven_in_equal_ratios(photos, tmp_path):
    found = counts(thinned(photos, tmp_path, 4, seed=0).location)
    whole = counts(tmp_path / "all-0.csv")
    for number, label in enumerate(sorted({label for label, _ in whole})):
        assert found[label, "train"] == whole[label, "train"] // 2**number
        for split in ("validation", "test"):
            assert found[label, split] == whole[label, split]
