"""Which images a bundle was trained on, chosen by and measured on."""

import csv
from typing import NamedTuple

from toolkit.errors import BundleError
from toolkit.serving.bundle import MEND, Bundle


class SplitRow(NamedTuple):
    """An image, as a bundle's `splits.csv` names it.

    Attributes:
        path: Relative to the root of the bundle's data.
        label: Its class.
        split: "train", "validation" or "test".
        digest: Of its content, hexadecimal.
    """

    path: str
    label: str
    split: str
    digest: str


def read_splits(bundle: Bundle) -> list[SplitRow]:
    """The rows of a bundle's `splits.csv`.

    Raises:
        BundleError: It is missing or damaged.
    """
    path = bundle.extra / "splits.csv"
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if missing := set(SplitRow._fields).difference(rows.fieldnames or ()):
                raise KeyError(*sorted(missing))
            return [SplitRow(*(row[name] for name in SplitRow._fields)) for row in rows]
    except (OSError, KeyError, csv.Error) as error:
        problem = f"{path}, which tells what it has seen, cannot be read ({error})"
        raise BundleError(bundle.path, problem, MEND) from error
