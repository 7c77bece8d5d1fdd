"""What an audit finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from toolkit.data.table import ImageTable

SERIOUS, DOUBTFUL, NOTE = 3, 2, 1
"""Results will be wrong; some images are; or only worth knowing."""

SEVERITIES = {SERIOUS: "serious", DOUBTFUL: "doubtful", NOTE: "note"}


@dataclass(frozen=True)
class Suspect:
    """An image in which something was found.

    Attributes:
        path: As its source calls it.
        why: What was found in it, in a few words.
        label: Its class, or "".
        split: The split that the source gives it, or "".
        beside: The path of another image that it is to be compared with, or "".
        leave_out: Whether training is better without it, for certain.
    """

    path: str
    why: str
    label: str = ""
    split: str = ""
    beside: str = ""
    leave_out: bool = False


@dataclass(frozen=True)
class Finding:
    """One sort of fault, and where it is.

    Attributes:
        kind: Its name, for programs: "unreadable", "leak", ...
        severity: `SERIOUS`, `DOUBTFUL` or `NOTE`.
        title: What was found, with its number, as a sentence without its full stop.
        advice: What to do.
        suspects: The images, the worst first; none where all of them together are meant.
    """

    kind: str
    severity: int
    title: str
    advice: str
    suspects: Sequence[Suspect] = field(default_factory=list)


def suspect(table: ImageTable, row: int, why: str, **more: object) -> Suspect:
    """The suspect of a table's row."""
    label, split = table.classes[table.labels[row]], table.splits[row]
    return Suspect(table.paths[row], why, label, split, **more)  # type: ignore[arg-type]


def count(number: int, noun: str = "image") -> str:
    """A number with its noun: "1 image", "1,200 images"."""
    plural = noun if number == 1 else noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {plural}"


def suspects(table: ImageTable, chosen: np.ndarray, whys: Sequence[str]) -> list[Suspect]:
    """The suspects of some rows, each with its reason."""
    return [suspect(table, row, why) for row, why in zip(chosen, whys, strict=True)]
