"""Which images train, validate and test: decided by each image's content and the seed alone."""

import dataclasses
import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from toolkit.data.table import SPLITS, TEST, TRAIN, VALIDATION, ImageTable
from toolkit.errors import (
    EmptySplitError,
    NoClassesError,
    OptionError,
    TooFewImagesError,
    UnknownClassesError,
)

log = logging.getLogger("toolkit")


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuses shares of train, validation and test that are not three, positive, and 1 in sum."""
    values = [float(value) for value in fractions]
    # Written so that NaN fails, too.
    if len(values) != 3 or not (min(values) > 0 and abs(sum(values) - 1) <= 1e-6):
        rule = "three positive shares (train, validation, test) that sum to 1, as 0.7,0.15,0.15"
        raise OptionError("--split", rule, ",".join(map(str, fractions)))


def check_classes(table: ImageTable) -> None:
    """Refuses a table that cannot be split: fewer than two classes, or a class too small.

    Raises:
        NoClassesError: There are fewer than two classes.
        UnknownClassesError: A class is validated or tested, and not trained.
        TooFewImagesError: A class has too few different images for the splits that it must fill.
        EmptySplitError: A split that the source gives has no readable image.
    """
    if len(table.classes) < 2 or len(table) == 0:
        raise NoClassesError(table.root, table.classes if len(table) else [])
    for name in table.given:
        if not np.any(table.splits == name):
            raise EmptySplitError(name)
    to_split = _to_split(table)
    needed = 1 + len(_missing(table))
    unknown = []
    for label, name in enumerate(table.classes):
        rows = to_split & (table.labels == label)
        count = len(set(table.digests[rows]))
        if count == 0 and np.any(table.labels == label):
            unknown.append(name)
        elif count < needed:
            broken = sum(f"/{name}/" in f"/{problem.path}" for problem in table.problems)
            raise TooFewImagesError(name, count, needed, broken)
    if unknown:
        known = [name for name in table.classes if name not in unknown]
        raise UnknownClassesError(unknown, known, "The training split")


def assign_splits(table: ImageTable, fractions: Sequence[float], seed: int) -> ImageTable:
    """Fills the table's `splits`.

    An image's place follows from its content digest and the seed alone: identical files fall on
    the same side, and adding images moves none of those already placed. Each class, and with it
    the whole, is shared out in the given proportions in expectation. Only where that leaves a
    class without an image in some split (classes of a few dozen images or less), the images whose
    number lies nearest to that split's range are moved into it.

    Splits that the source gives stay; a missing one is taken out of `train`.

    Args:
        table: With at least three different images a class (see `check_classes`).
        fractions: Shares of train, validation and test.
        seed: Another seed gives another split.
    """
    names = [TRAIN, *_missing(table)]
    shares = np.array([fractions[SPLITS.index(name)] for name in names])
    bounds = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    to_split = _to_split(table)
    position = {digest: _position(digest, seed) for digest in set(table.digests[to_split])}
    placed = {d: names[_interval(value, bounds)] for d, value in position.items()}
    pairs = set(zip(table.digests[to_split], table.labels[to_split], strict=True))
    classes_of = Counter(digest for digest, _ in pairs)
    by_class = itertools.groupby(sorted((label, digest) for digest, label in pairs), lambda p: p[0])
    for _, group in by_class:
        digests = [digest for _, digest in group]
        own = {digest for digest in digests if classes_of[digest] == 1}
        _fill_empty(digests, own, names, bounds, position, placed)
    splits = table.splits.copy()
    splits[to_split] = [placed[digest] for digest in table.digests[to_split]]
    _warn_of_leaks(table.digests, splits)
    return dataclasses.replace(table, splits=splits)


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


def _warn_of_leaks(digests: np.ndarray, splits: np.ndarray) -> None:
    """Says so where the source itself puts identical files on two sides."""
    train = set(digests[splits == TRAIN])
    for name in (VALIDATION, TEST):
        count = sum(digest in train for digest in digests[splits == name])
        if count:
            log.warning("%d images of the %s split are also in the training split.", count, name)
