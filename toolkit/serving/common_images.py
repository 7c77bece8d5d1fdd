"""The images by which members may be chosen and weighted, and those to measure them on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from toolkit.data.listing import ListedFile, Listing
from toolkit.data.scan import scan
from toolkit.data.source import Source
from toolkit.data.sources import list_source
from toolkit.data.table import TEST, TRAIN, VALIDATION, ImageTable, Problem
from toolkit.errors import NoTestImagesError
from toolkit.progress import Progress
from toolkit.serving.members import Member


@dataclass(frozen=True)
class CommonImages:
    """The images of an ensemble's members.

    Attributes:
        seen: All that a member was trained on (train) or chosen by (validation).
        validation: Those that some member has for validation: it was not trained on them.
        validated: Which members have each of these for validation: bool [M, N].
        test: Those that no member has seen.
    """

    seen: ImageTable
    validation: ImageTable
    validated: np.ndarray
    test: ImageTable

    def record(self, test: ImageTable) -> ImageTable:
        """What the ensemble's `splits.csv` tells: all seen images, and those that were tested.

        Args:
            test: The rows of `test` that could be decoded.
        """
        return _stacked(self.seen, test)


def common_images(
    members: Sequence[Member], data: str | os.PathLike[str] | Source | None, progress: Progress
) -> CommonImages:
    """Finds the images that are validation, and those that are test, for all members.

    Images are known by their content, whatever they are called. Files that are gone, or have
    changed since, are left out.

    Args:
        members: Of the ensemble.
        data: Labelled images to test on, of which the members' seen ones are left out; None: their
            own test splits.
        progress: Shows how far it is.

    Raises:
        NoTestImagesError: There are none.
        UnknownClassesError: The data has a class that the members do not know.
    """
    classes = members[0].classifier.classes
    limit = min(member.classifier.max_pixels for member in members)
    recorded = _recorded(members)
    some = np.any(_in_split(members, recorded, VALIDATION), axis=0)
    validation = _readable(recorded.rows(some), limit, progress)
    if data is None:
        test = recorded.split(TEST)
        test = _readable(test.rows(np.all(_in_split(members, test, TEST), axis=0)), limit, progress)
        root = recorded.root
    else:
        listing = list_source(data, progress)
        listing.check_known(classes, "A member")
        test = _unseen(scan(listing, limit, progress), recorded, classes)
        root = test.root
    if not len(test):
        raise NoTestImagesError(data, root)
    seen = recorded.rows(recorded.splits != TEST)
    return CommonImages(seen, validation, _in_split(members, validation, VALIDATION), test)


def _recorded(members: Sequence[Member]) -> ImageTable:
    """All images that the members' records name, the first mention of each."""
    classes = members[0].classifier.classes
    rank = {TRAIN: 0, VALIDATION: 1, TEST: 2}
    splits: dict[str, str] = {}
    rows: dict[str, list[tuple[str, str]]] = {}
    for member in members:
        own: dict[str, list[tuple[str, str]]] = {}
        for row in member.splits:
            splits[row.digest] = min(splits.get(row.digest, TEST), row.split, key=rank.__getitem__)
            own.setdefault(row.digest, []).append((os.path.join(member.root, row.path), row.label))
        rows = own | rows  # Copies of an image stay as they are in the first member's record.
    root = os.path.commonpath([member.root for member in members])
    listed = [(path, label, digest) for digest, files in rows.items() for path, label in files]
    index = {name: label for label, name in enumerate(classes)}
    return ImageTable(
        root=Path(root),
        classes=classes,
        paths=np.array([_below(root, path) for path, _, _ in listed], object),
        labels=np.array([index[label] for _, label, _ in listed], np.int32),
        digests=np.array([digest for _, _, digest in listed], object),
        splits=np.array([splits[digest] for _, _, digest in listed], object),
    )


def _below(root: str, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _in_split(members: Sequence[Member], table: ImageTable, split: str) -> np.ndarray:
    """Whether each of M members has each of N images in a split of that name: bool [M, N]."""
    digests = [{row.digest for row in member.splits if row.split == split} for member in members]
    found = [[digest in own for digest in table.digests] for own in digests]
    return np.array(found, bool).reshape(len(members), len(table))


def _readable(table: ImageTable, max_pixels: int, progress: Progress) -> ImageTable:
    """The images whose files are there, and are as they were."""
    columns = zip(table.paths, table.labels, table.splits, strict=True)
    files = [ListedFile(path, table.classes[label], split) for path, label, split in columns]
    found = scan(Listing(table.root, files, table.classes), max_pixels, progress)
    expected = dict(zip(table.paths, table.digests, strict=True))
    pairs = zip(found.paths, found.digests, strict=True)
    reason = "changed since the models were made"
    return found.without([Problem(path, reason) for path, now in pairs if expected[path] != now])


def _unseen(table: ImageTable, recorded: ImageTable, classes: list[str]) -> ImageTable:
    """The images of other data that no member has seen, with the ensemble's classes."""
    seen = set(recorded.digests[recorded.splits != TEST])
    splits = np.full(len(table), TEST, object)
    table = replace(table.with_classes(classes), splits=splits)
    return table.rows(np.array([digest not in seen for digest in table.digests], bool))


def _stacked(seen: ImageTable, test: ImageTable) -> ImageTable:
    """Two tables as one, with paths relative to what both have in common."""
    root = os.path.commonpath([seen.root, test.root])
    both = (seen, test)
    paths = [_below(root, str(table.root / path)) for table in both for path in table.paths]
    return replace(
        test,
        root=Path(root),
        paths=np.array(paths, object),
        labels=np.concatenate([table.labels for table in both]),
        digests=np.concatenate([table.digests for table in both]),
        splits=np.concatenate([table.splits for table in both]),
        groups=None,
        headers=None,
    )
