from dataclasses import replace

import numpy as np
import pytest

from toolkit.data.folds import fold_splits
from toolkit.data.splits import assign_splits, fix_splits
from toolkit.data.table import TEST, TRAIN, VALIDATION, ImageTable
from toolkit.errors import OptionError

COUNT = 60


@pytest.fixture
def table():
    """Sixty images of two classes, in groups of three."""
    numbers = np.arange(COUNT)
    listed = ImageTable(
        root=None,
        classes=["a", "b"],
        paths=np.array([f"{number}.jpg" for number in numbers], object),
        labels=np.array(numbers % 6 // 3, np.int32),
        digests=np.array([f"{number:032x}" for number in numbers], object),
        splits=np.full(COUNT, "", object),
        groups=np.array([str(number // 3) for number in numbers], object),
    )
    return fix_splits(listed, (0.6, 0.2, 0.2), 0)


def test_each_image_but_the_tests_validates_once_with_its_group(table):
    folds = list(fold_splits(table, 4, seed=1))
    validates = np.array([fold.splits == VALIDATION for fold in folds])
    assert validates.sum(axis=0).tolist() == (table.splits != TEST).astype(int).tolist()
    for fold in folds:
        np.testing.assert_array_equal(fold.splits == TEST, table.splits == TEST)
        sides = {(group, split) for group, split in zip(fold.groups, fold.splits, strict=True)}
        assert len(sides) == len(set(fold.groups)), "no group is on two sides"
        assert set(fold.labels[fold.splits == VALIDATION]) == {0, 1}, "stratified"


def test_a_job_leaves_them_as_they_are(table):
    [fold, *_] = fold_splits(table, 3, seed=0)
    again = assign_splits(fold, (0.4, 0.3, 0.3), 99)
    np.testing.assert_array_equal(again.splits, fold.splits)


def test_another_seed_gives_other_folds(table):
    one, same, other = (next(iter(fold_splits(table, 3, seed))).splits for seed in (0, 0, 1))
    assert (one == same).all() and (one != other).any()


def test_a_class_with_fewer_groups_than_folds_is_refused(table):
    few = replace(table, splits=np.where(table.labels == 1, TEST, TRAIN).astype(object))
    few.splits[[3, 4, 5, 9]] = TRAIN
    with pytest.raises(OptionError, match="at most 2: outside of the test split, the class 'b'"):
        next(iter(fold_splits(few, 3, 0)))
