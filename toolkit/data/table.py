"""The image table: the images of a data set with their labels, classes and splits."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")


FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
"""Pillow's names of what TensorFlow decodes."""

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded (100 megapixels: 300 MB of RGB)."""

JPEG_END = b"\xff\xd9"
"""A whole JPEG's last bytes, but for what others wrote behind it."""

HEADER = np.dtype(
    [
        ("height", np.int32),  # As it is stored.
        ("width", np.int32),
        ("orientation", np.uint8),  # In JPEGs what EXIF says, 1 to 8; otherwise 1.
        ("format", np.uint8),  # Its place in FORMATS.
        ("is_cut", np.bool_),  # It may be: a JPEG that does not end like one.
    ]
)


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImageTable:
    """The images of a data set, one row each.

    Attributes:
        root: The folder that the paths are relative to.
        classes: Names of the K classes, sorted.
        paths: N paths relative to `root`, with forward slashes.
        labels: int32 [N], indices into `classes`.
        digests: N hexadecimal digests of the files' content.
        splits: N names out of `SPLITS`, or "" where the source gives none.
        groups: N names; images of the same one stay on one side. "" is no group.
        given: The splits that the source itself gives.
        problems: The files that were left out.
        headers: What the files' first bytes say, `HEADER` [N]; None where no file was looked into.
    """

    root: Path
    classes: list[str]
    paths: np.ndarray
    labels: np.ndarray
    digests: np.ndarray
    splits: np.ndarray
    given: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    groups: np.ndarray | None = None
    headers: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, chosen: np.ndarray) -> "ImageTable":
        """The table of some of the rows, by index or mask."""
        columns = ["paths", "labels", "digests", "splits"]
        columns += [name for name in ("groups", "headers") if getattr(self, name) is not None]
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    def split(self, name: str) -> "ImageTable":
        """The rows of one split."""
        return self.rows(self.splits == name)

    def without(self, problems: Sequence[Problem]) -> "ImageTable":
        """The table without the files that turned out to be problems, which it then lists."""
        bad = {problem.path for problem in problems}
        kept = np.array([path not in bad for path in self.paths], bool)
        return dataclasses.replace(self.rows(kept), problems=[*self.problems, *problems])

    def with_classes(self, classes: Sequence[str]) -> "ImageTable":
        """The same images and labels, with the classes of a model, in its order.

        Args:
            classes: Names, the table's among them; `Listing.check_known` tells of others.
        """
        index = {name: label for label, name in enumerate(classes)}
        places = np.array([index[name] for name in self.classes], np.int32)
        return dataclasses.replace(self, classes=list(classes), labels=places[self.labels])

    def file(self, row: int) -> Path:
        """The path at which a row's image can be opened."""
        return self.root / self.paths[row]

    def files(self) -> list[bytes]:
        """The paths at which the images can be opened, as the file system's bytes."""
        root = os.fsencode(self.root) + b"/"
        return [root + os.fsencode(path) for path in self.paths]

    def known_headers(self) -> np.ndarray:
        """The headers, `HEADER` [N]: zeros where no file was looked into."""
        return np.zeros(len(self), HEADER) if self.headers is None else self.headers

    def counts(self) -> np.ndarray:
        """Images in each class: int [K]."""
        return np.bincount(self.labels, minlength=len(self.classes))
