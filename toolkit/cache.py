"""The cache folder as a whole: what is in it, how large it is, and what goes when it is full."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import OptionError
from toolkit.files import appearing, cache_folder

SAMPLES = "samples"
KINDS = ("features", "probes", "views", "networks", SAMPLES)
"""Pooled features; what was fitted on them; activations of augmented views; converted networks;
sample data sets."""

DEFAULT_SIZE = "20GB"

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_KEY = "key.json"
_ABANDONED = 24 * 3600


@dataclass(frozen=True)
class Entry:
    """One folder of the cache: all that was computed in one way.

    Attributes:
        path: The folder.
        kind: One of `KINDS`.
        bytes: On disk.
        used: When it was last used, seconds since 1970.
        key: What decides its content.
    """

    path: Path
    kind: str
    bytes: int
    used: float
    key: dict[str, Any]


def cached_folder(kind: str, key: dict[str, Any], keep: bool = True) -> Path:
    """The cache's folder for all that decides its content, which it notes, with the time of use.

    Args:
        kind: One of `KINDS`.
        key: What decides the content.
        keep: Whether anything is to be kept there; otherwise nothing is noted.
    """
    text = json.dumps(key, indent=2)
    folder = cache_folder() / kind / hashlib.sha256(text.encode()).hexdigest()[:24]
    if not keep:
        return folder
    with contextlib.suppress(OSError):  # What is written next says so, once.
        if _noted(folder) != text:
            with appearing(folder / _KEY) as temporary:
                temporary.write_text(text)
        os.utime(folder / _KEY)
    return folder


def entries() -> list[Entry]:
    """All of the cache, the longest unused first."""
    found = [_entry(path, kind) for kind in KINDS for path in _folders(cache_folder() / kind)]
    return sorted(found, key=lambda entry: entry.used)


def make_room(limit: int, *in_use: Path) -> int:
    """Deletes entries, the longest unused first, until the cache is no larger than a limit.

    Samples stay, as a run may be reading them as its data; `clear` deletes them.

    Args:
        limit: Bytes.
        in_use: Folders that stay.

    Returns:
        The bytes by which the cache is larger still.
    """
    _delete_abandoned()
    held = entries()
    excess = sum(entry.bytes for entry in held) - limit
    for entry in held:
        if excess <= 0:
            break
        if entry.path not in in_use and entry.kind != SAMPLES:
            excess -= delete(entry)
    return max(0, excess)


def clear(kind: str = "all") -> int:
    """Deletes all entries of a kind, one of `KINDS`, or "all" of them.

    Returns:
        The bytes that were freed.
    """
    if kind not in ("all", *KINDS):
        raise OptionError("--clear", f"one of all, {', '.join(KINDS)}", kind)
    return sum(delete(entry) for entry in entries() if kind in ("all", entry.kind))


def delete(entry: Entry) -> int:
    """Deletes an entry; processes that have it open keep what they have read.

    Returns:
        The bytes that were freed.
    """
    shutil.rmtree(entry.path, ignore_errors=True)
    return entry.bytes - _bytes(entry.path)


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder that need not exist."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def parse_size(name: str, value: str | int) -> int:
    """Bytes out of a number or a text such as "500MB" or "20 GB".

    Raises:
        OptionError: It is none.
    """
    parts = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*([KMGT]?B|)\s*", str(value).upper())
    if parts is None:
        raise OptionError(name, "a size such as 500MB, 20GB or 0", value)
    return int(float(parts[1]) * _UNITS[parts[2]])


def _entry(path: Path, kind: str) -> Entry:
    try:
        key = json.loads(_noted(path))
        used = (path / _KEY).stat().st_mtime
    except (OSError, ValueError):
        key, used = {}, _modified(path)
    return Entry(path, kind, _bytes(path), used, key if isinstance(key, dict) else {})


def _noted(folder: Path) -> str:
    try:
        return (folder / _KEY).read_text()
    except (OSError, ValueError):  # There is none, or it is damaged.
        return ""


def _bytes(path: Path) -> int:
    return sum(_size(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _folders(parent: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(parent) if not name.startswith("."))
        yield from (parent / name for name in names if (parent / name).is_dir())


def _delete_abandoned() -> None:
    """Deletes what killed processes left half written."""
    for path in (path for kind in KINDS for path in _all_below(cache_folder() / kind)):
        if path.name.startswith(".writing-") and time.time() - _modified(path) > _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _all_below(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):  # Unlike glob, it bears what others delete.
        yield from (Path(folder, name) for name in (*folders, *names))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # Another process has just deleted it.
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
