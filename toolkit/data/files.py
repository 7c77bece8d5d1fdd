"""Files out of what a person names: files, folders and patterns."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from toolkit.errors import NoSuchFileError


def find_files(names: Iterable[str]) -> list[str]:
    """Lists files; folders are searched with all their folders, without hidden ones.

    Args:
        names: Files, folders, and patterns (`*`, `?`, `[...]`, `**`) of files.

    Raises:
        NoSuchFileError: A name leads to nothing.
    """
    return [file for name in names for file in _find(name)]


def _find(name: str) -> list[str]:
    path = Path(name).expanduser()
    if path.is_dir():
        return [file for file in _walk(path)]
    if path.exists():
        return [os.fspath(path)]
    found = sorted(glob.glob(os.fspath(path), recursive=True))
    files = [file for file in found if not os.path.isdir(file)]
    if not files:
        raise NoSuchFileError(name)
    return files


def _walk(folder: Path) -> list[str]:
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [os.path.join(parent, name) for name in sorted(names) if name[0] != "."]
    return files
