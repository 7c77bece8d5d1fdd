"""The files of a source, as they are named and labelled, before any is opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from toolkit.data.table import TEST, TRAIN, VALIDATION, Problem
from toolkit.errors import UnknownClassesError

SPLIT_NAMES = {
    "train": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}
"""What folders, and the words of a manifest, may be called."""


class ListedFile(NamedTuple):
    """A file with what its source says of it.

    Attributes:
        path: Relative to the listing's root, with forward slashes.
        class_name: Its label.
        split: One of the table's splits, or "" where the source leaves it open.
        group: Of files that must stay on one side, or "".
    """

    path: str
    class_name: str
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Listing:
    """The files of a source, not yet opened.

    Attributes:
        root: The folder that the paths are relative to.
        files: Each of them, in a fixed order.
        classes: Names of the classes, sorted, also of those without a file.
        splits: The splits that the source itself gives.
        problems: Files that cannot be used, as it is known without opening them.
        flips: Whether a left-right flip leaves an image in its class, as in most photos.
    """

    root: Path
    files: list[ListedFile]
    classes: list[str]
    splits: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    flips: bool = True

    def check_known(self, known: Sequence[str], knows: str = "The model") -> None:
        """Refuses classes that a model does not know.

        Args:
            known: Those that it knows.
            knows: Who does, in the error's words.

        Raises:
            UnknownClassesError: There are some.
        """
        unknown = [name for name in self.classes if name not in known]
        if unknown:
            raise UnknownClassesError(unknown, list(known), knows)
