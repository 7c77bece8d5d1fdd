"""Bundles on disk: `models/NAME/VERSION/`, a SavedModel with its records beside it."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import BundleError

EXTRA = "assets.extra"
FILES = ("saved_model.pb", f"{EXTRA}/model.keras", f"{EXTRA}/run.json", f"{EXTRA}/metrics.json")


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

    def read(self, record: str) -> Any:
        """A record's content, e.g. of "run.json".

        Raises:
            BundleError: It is missing or damaged.
        """
        try:
            return json.loads((self.extra / record).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BundleError(
                self.path, f"{record} cannot be read ({error})", "Take another version of it."
            ) from error


def find_bundle(model: str | os.PathLike[str]) -> Bundle:
    """The bundle at `models/NAME/VERSION`, or the newest version at `models/NAME`.

    Raises:
        BundleError: There is none, or a file of it is missing.
    """
    path = Path(model).expanduser()
    if not (path / "saved_model.pb").exists() and versions(path):
        path = path / str(versions(path)[-1])
    if not path.is_dir():
        raise BundleError(model, "there is no such folder", "Give models/NAME or a version in it.")
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        mend = "Give models/NAME, or models/NAME/VERSION, as `toolkit finetune` printed it."
        raise BundleError(model, f"{missing[0]} is missing", mend)
    return Bundle(path.absolute())


def versions(folder: Path) -> list[int]:
    """The versions in a model's folder, oldest first."""
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    return sorted(int(name) for name in names if name.isdecimal())


def publish(made: Path, folder: Path) -> Bundle:
    """Renames a finished bundle to the next version: it appears whole, and replaces nothing."""
    while True:
        path = folder / str((versions(folder) or [0])[-1] + 1)
        try:
            os.rename(made, path)
        except OSError:
            if not path.exists():  # Otherwise another run was faster: the next number is free.
                raise
        else:
            return Bundle(path.absolute())


def write_json(path: Path, content: Any) -> None:
    """Writes a record for people and programs."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Writes a table; names that are no valid Unicode keep their bytes."""
    import csv

    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def remove(folder: Path) -> None:
    """Deletes a folder that was never published."""
    shutil.rmtree(folder, ignore_errors=True)
