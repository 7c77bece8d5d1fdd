"""Which images train, validate and test: decided by their content or group and the seed alone."""

import dataclasses
import hashlib
import itertools
import logging
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from toolkit.data.groups import has_groups, units
from toolkit.data.table import SPLITS, TEST, TRAIN, VALIDATION, ImageTable
from toolkit.errors import (
    EmptySplitError,
    NoClassesError,
    OptionError,
    TooFewImagesError,
    UnknownClassesError,
)

log = logging.getLogger("toolkit")

AUTO = "auto"
FEW, MANY = 10_000, 1_000_000
FEW_HELD_OUT, MANY_HELD_OUT = 0.15, 0.01
"""Shares of validation and of test for so many images."""

FAR_OFF = 0.5
"""Of a split's share, from which on it is said that the groups did not allow it."""


def split_fractions(fractions: Sequence[float] | str, images: int) -> Sequence[float]:
    """Shares of train, validation and test.

    Args:
        fractions: The three of them, or "auto": 0.7, 0.15 and 0.15 up to 10,000 images, from where
            on those of validation and test fall, by the same factor for each tenfold, to 0.01 for a
            million or more: a share's error falls with its number of images, not with their share.
        images: How many there are.

    Example:
        >>> [round(share, 3) for share in split_fractions("auto", 100_000)]
        [0.923, 0.039, 0.039]
    """
    if not isinstance(fractions, str):
        return fractions
    place = math.log(max(images, 1) / FEW) / math.log(MANY / FEW)
    held_out = FEW_HELD_OUT * (MANY_HELD_OUT / FEW_HELD_OUT) ** min(max(place, 0.0), 1.0)
    return 1 - 2 * held_out, held_out, held_out


def check_fractions(fractions: Sequence[float] | str) -> None:
    """Refuses shares of train, validation and test that are not three, positive, and 1 in sum."""
    if fractions == AUTO:
        return
    try:
        values = [float(value) for value in fractions]
    except ValueError:
        values = []
    # Written so that NaN fails, too.
    if len(values) != 3 or not (min(values) > 0 and abs(sum(values) - 1) <= 1e-6):
        rule = "auto, or three positive shares (train, validation, test) that sum to 1, as "
        rule += "0.7,0.15,0.15"
        received = fractions if isinstance(fractions, str) else ",".join(map(str, fractions))
        raise OptionError("--split", rule, received)


def check_classes(table: ImageTable) -> None:
    """Refuses a table that cannot be split: fewer than two classes, or a class too small.

    Raises:
        NoClassesError: There are fewer than two classes.
        UnknownClassesError: A class is validated or tested, and not trained.
        TooFewImagesError: A class has too few different images, or groups of them, for the splits
            that it must fill.
        EmptySplitError: A split that the source gives has no readable image.
    """
    if len(table.classes) < 2 or len(table) == 0:
        raise NoClassesError(table.root, table.classes if len(table) else [])
    for name in table.given:
        if not np.any(table.splits == name):
            raise EmptySplitError(name)
    to_split = _to_split(table)
    needed = 1 + len(_missing(table))
    together, unknown = units(table), []
    for label, name in enumerate(table.classes):
        rows = to_split & (table.labels == label)
        count = len(set(together[rows]))
        if count == 0 and np.any(table.labels == label):
            unknown.append(name)
        elif count < needed:
            broken = sum(f"/{name}/" in f"/{problem.path}" for problem in table.problems)
            raise TooFewImagesError(name, count, needed, broken, has_groups(table))
    if unknown:
        known = [name for name in table.classes if name not in unknown]
        raise UnknownClassesError(unknown, known, "The training split")


def assign_splits(table: ImageTable, fractions: Sequence[float] | str, seed: int) -> ImageTable:
    """Fills the table's `splits`.

    An image's place follows from its content digest, or its group, and the seed alone: identical
    files and those of a group fall on the same side, and adding images moves none of those already
    placed. Each class, and with it the whole, is shared out in the given proportions in
    expectation. Only where that leaves a class without an image in some split (classes of a few
    dozen images or less), the images whose number lies nearest to that split's range are moved
    into it.

    Splits that the source gives stay; a missing one is taken out of `train`. An image that the
    source leaves open, and whose group it validates or tests with, joins it there.

    Args:
        table: With at least three different images, or groups, a class (see `check_classes`).
        fractions: Shares of train, validation and test, or "auto" (see `split_fractions`).
        seed: Another seed gives another split.
    """
    names = [TRAIN, *_missing(table)]
    fractions = split_fractions(fractions, len(table))
    shares = np.array([fractions[SPLITS.index(name)] for name in names])
    bounds = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    to_split = _to_split(table)
    together = units(table)
    position = {unit: _position(unit, seed) for unit in set(together[to_split])}
    placed = {unit: names[_interval(value, bounds)] for unit, value in position.items()}
    pairs = set(zip(together[to_split], table.labels[to_split], strict=True))
    classes_of = Counter(unit for unit, _ in pairs)
    by_class = itertools.groupby(sorted((label, unit) for unit, label in pairs), lambda p: p[0])
    for _, group in by_class:
        in_class = [unit for _, unit in group]
        own = {unit for unit in in_class if classes_of[unit] == 1}
        _fill_empty(in_class, own, names, bounds, position, placed)
    splits = table.splits.copy()
    splits[to_split] = [placed[unit] for unit in together[to_split]]
    if has_groups(table):
        _join_given(together, table.splits, splits)
        _warn_of_shares(splits[to_split], names, shares / shares.sum())
    _warn_of_leaks(together, splits, has_groups(table))
    return dataclasses.replace(table, splits=splits)


def _join_given(together: np.ndarray, given: np.ndarray, splits: np.ndarray) -> None:
    """Puts what is left open with those of its group that the source validates or tests with."""
    held_out = np.isin(given, (VALIDATION, TEST))
    side = dict(zip(together[held_out], given[held_out], strict=True))
    for row in np.flatnonzero(given == ""):
        splits[row] = side.get(together[row], splits[row])


def _warn_of_shares(splits: np.ndarray, names: Sequence[str], shares: np.ndarray) -> None:
    actual = np.array([np.mean(splits == name) for name in names])
    if np.any(np.abs(actual - shares) > FAR_OFF * shares):
        parts = [f"{name} {share:.0%}" for name, share in zip(names, actual, strict=True)]
        log.warning("The groups are few, or of very different sizes: %s.", ", ".join(parts))


def fix_splits(table: ImageTable, fractions: Sequence[float] | str, seed: int) -> ImageTable:
    """As `assign_splits`, as if the source gave the splits: whatever is left out, they stay."""
    return dataclasses.replace(assign_splits(table, fractions, seed), given=SPLITS)


def _missing(table: ImageTable) -> list[str]:
    """The splits that the source does not give."""
    return [name for name in (VALIDATION, TEST) if name not in table.given]


def _to_split(table: ImageTable) -> np.ndarray:
    return (table.splits == "") | (table.splits == TRAIN)


def _position(digest: str, seed: int) -> float:
    """A number in [0, 1) that is as good as random, and always the same."""
    mixed = hashlib.blake2b(f"{seed}:{digest}".encode(), digest_size=8).digest()
    return int.from_bytes(mixed) / 2**64


def _interval(value: float, bounds: np.ndarray) -> int:
    return int(np.clip(np.searchsorted(bounds, value, side="right") - 1, 0, len(bounds) - 2))


def _fill_empty(
    digests: list[str],
    own: set[str],
    names: list[str],
    bounds: np.ndarray,
    position: dict[str, float],
    placed: dict[str, str],
) -> None:
    """Moves the nearest image into each split that a class leaves empty.

    Images that only this class has go first: to move one that lies in two classes' folders may
    empty a split of the other.
    """
    for index, name in reversed(list(enumerate(names))):
        held = Counter(placed[digest] for digest in digests)
        if name in held:
            continue
        low, high = bounds[index], bounds[index + 1]
        movable = [digest for digest in digests if held[placed[digest]] > 1]
        distance = {d: max(low - position[d], position[d] - high) for d in movable}
        nearest = min(movable, key=lambda digest: (digest not in own, distance[digest]))
        placed[nearest] = name


def _warn_of_leaks(together: np.ndarray, splits: np.ndarray, grouped: bool) -> None:
    """Says so where the source itself puts identical files, or those of a group, on two sides."""
    train = set(together[splits == TRAIN])
    for name in (VALIDATION, TEST):
        count = sum(unit in train for unit in together[splits == name])
        if count:
            also = "are also in" if not grouped else "are, or others of their groups, also in"
            log.warning("%d images of the %s split %s the training split.", count, name, also)
