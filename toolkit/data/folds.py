"""Folds: splits of the same images, each with another part of them as validation."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from toolkit.data.groups import has_groups, units
from toolkit.data.table import SPLITS, TEST, TRAIN, VALIDATION, ImageTable
from toolkit.errors import OptionError


def fold_splits(table: ImageTable, folds: int, seed: int) -> Iterator[ImageTable]:
    """The table once for each fold, which validates there; the test split stays what it is.

    Folds are stratified, and no group is on two sides (scikit-learn's `StratifiedGroupKFold`).

    Args:
        table: With its splits; training and validation together are what the folds share out.
        folds: How many, at least 2.
        seed: Another seed gives other folds.

    Raises:
        OptionError: A class has fewer images, or groups of them, than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    rest = np.flatnonzero(table.splits != TEST)
    together, labels = units(table)[rest], table.labels[rest]
    _check_folds(table, together, labels, folds)
    divide = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for _, validation in divide.split(rest, labels, together):
        splits = table.splits.copy()
        splits[rest] = TRAIN
        splits[rest[validation]] = VALIDATION
        yield dataclasses.replace(table, splits=splits, given=SPLITS)


def _check_folds(table: ImageTable, together: np.ndarray, labels: np.ndarray, folds: int) -> None:
    counts = [len(set(together[labels == label])) for label in range(len(table.classes))]
    least = int(np.argmin(counts))
    if counts[least] < folds:
        what = "groups" if has_groups(table) else "different images"
        rule = f"at most {counts[least]}: outside of the test split, the class "
        rule += f"{table.classes[least]!r} has no more {what}"
        raise OptionError("--folds", rule, folds)
