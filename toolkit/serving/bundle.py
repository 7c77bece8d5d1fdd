"""Bundles on disk: `models/NAME/VERSION/`, a SavedModel with its records beside it."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import BundleError

EXTRA = "assets.extra"
FILES = ("saved_model.pb", f"{EXTRA}/model.keras", f"{EXTRA}/run.json", f"{EXTRA}/metrics.json")
MEND = "Take another version, or make it again."


@dataclass(frozen=True)
class Bundle:
    """One saved version of a classifier.

    Attributes:
        path: Its folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """NAME/VERSION."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def extra(self) -> Path:
        """The folder of everything that servers ignore."""
        return self.path / EXTRA

    def read(self, record: str) -> dict[str, Any]:
        """A record's content, e.g. of "run.json".

        Raises:
            BundleError: It is missing or damaged.
        """
        file = self.extra / record
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BundleError(self.path, f"{file} cannot be read ({reason})", MEND) from error
        if not isinstance(content, dict):
            raise BundleError(self.path, f"{file} holds no record", MEND)
        return content


def find_bundle(model: str | os.PathLike[str]) -> Bundle:
    """The bundle at `models/NAME/VERSION`, or the newest version at `models/NAME`.

    Raises:
        BundleError: There is none, or a file of it is missing.
    """
    path = Path(model).expanduser()
    if not (path / "saved_model.pb").exists() and versions(path):
        model = path = path / str(versions(path)[-1])
    if not path.is_dir():
        raise BundleError(model, "there is no such folder", "Give models/NAME or a version in it.")
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        mend = "Give models/NAME, or models/NAME/VERSION, as `toolkit finetune` printed it."
        raise BundleError(model, f"{missing[0]} is missing", mend)
    return Bundle(path.absolute())


def versions(folder: Path) -> list[int]:
    """The versions in a model's folder, oldest first; whatever else lies there is passed over."""
    if not folder.is_dir():
        return []
    numbers = (_number(entry.name) for entry in folder.iterdir() if entry.is_dir())
    return sorted(n for n in numbers if n is not None and (folder / str(n)).is_dir())


def _number(name: str) -> int | None:
    """The version that a name stands for, as servers read it: "007" is 7."""
    return int(name) if name.isascii() and name.isdecimal() else None


def publish(made: Path, folder: Path) -> Bundle:
    """Renames a finished bundle to the next version: it appears whole, and replaces nothing."""
    while True:
        taken = [_number(entry.name) or 0 for entry in folder.iterdir()]
        path = folder / str(max(taken, default=0) + 1)
        try:
            os.rename(made, path)
        except OSError:
            if not path.exists():  # Otherwise another run was faster: the next number is free.
                raise
        else:
            return Bundle(path.absolute())


def write_json(path: Path, content: Any) -> None:
    """Writes a record for people and programs."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # Bytes of file names that are no valid text become JSON's own escapes.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Writes a table; names that are no valid Unicode keep their bytes."""
    import csv

    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
