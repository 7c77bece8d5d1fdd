from pathlib import Path

import numpy as np
import pytest

from toolkit.data.listing import Listing
from toolkit.data.table import ImageTable, Problem
from toolkit.errors import UnknownClassesError


def _table() -> ImageTable:
    return ImageTable(
        root=Path("/data"),
        classes=["a", "b", "c"],
        paths=np.array(["a/1", "a/2", "c/3"], object),
        labels=np.array([0, 0, 2], np.int32),
        digests=np.array(["x", "y", "x"], object),
        splits=np.array(["train", "test", "train"], object),
        problems=[Problem("loose", "outside any class folder")],
    )


def test_rows_keep_their_columns_together():
    table = _table()

    for chosen in (np.array([2, 0]), np.array([True, False, True])):
        rows = table.rows(chosen)
        expected = np.arange(3)[chosen]
        for column in ("paths", "labels", "digests", "splits"):
            np.testing.assert_array_equal(getattr(rows, column), getattr(table, column)[expected])
    assert table.split("train").paths.tolist() == ["a/1", "c/3"]
    assert len(table.split("validation")) == 0


def test_every_class_is_counted_also_the_empty_one():
    assert _table().counts().tolist() == [2, 0, 1]


def test_a_table_without_its_problems_lists_them():
    table = _table().without([Problem("a/2", "damaged")])

    assert table.paths.tolist() == ["a/1", "c/3"]
    assert [p.path for p in table.problems] == ["loose", "a/2"]
    assert len(_table().problems) == 1


def test_files_are_found_from_the_root():
    assert _table().file(2) == Path("/data/c/3")
    assert _table().files() == [b"/data/a/1", b"/data/a/2", b"/data/c/3"]


def test_classes_are_matched_by_name():
    table = _table()
    other = table.with_classes(["c", "z", "a", "b"])
    assert other.labels.dtype == np.int32
    assert [other.classes[label] for label in other.labels] == ["a", "a", "c"]
    assert other.classes == ["c", "z", "a", "b"]
    assert other.paths is table.paths


def test_classes_that_a_model_does_not_know_are_named():
    listing = Listing(Path("/data"), [], ["a", "new"])
    listing.check_known(["new", "a", "b"])
    with pytest.raises(UnknownClassesError, match="The ensemble does not know the class 'new'"):
        listing.check_known(["a", "b"], "The ensemble")
