"""Runs that are not published yet: a folder each, locked while its process lives."""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from toolkit.errors import DiskFullError, NotWritableError, ResumeError, ToolkitError
from toolkit.files import appearing, is_full_disk
from toolkit.serving.bundle import write_json

PREFIX = ".unfinished-"
UNSEEN = ".passing-"
OPTIONS = "options.json"
DATA = "data-digest.txt"
ABANDONED_SECONDS = 600


class UnfinishedRun:
    """The folder in which a run keeps its state and makes its bundle.

    It lies beside the versions of its model, hidden from servers. The lock on it ends with the
    process, however that ends; what is then left can be resumed.

    Attributes:
        folder: Where the run's files go.
        resumed: Whether an earlier process has begun it.
    """

    def __init__(self, folder: Path, lock: FileLock, resumed: bool) -> None:
        self.folder = folder
        self.resumed = resumed
        self._lock = lock

    @classmethod
    def start(cls, parent: Path, options: dict[str, Any], resume: bool) -> "UnfinishedRun":
        """Starts a run, or takes up the one with the same options that was left.

        Args:
            parent: The model's folder.
            options: All that decides the run's result.
            resume: Whether to take up. Otherwise a left run with the same options is deleted.

        Raises:
            ResumeError: Only a run with other options was left.
            NotWritableError: No folder can be made in `parent`.
            DiskFullError: There is no room for it.
        """
        options = json.loads(json.dumps(options))
        _delete_abandoned(parent)
        others = []
        for run in cls._left(parent):
            left = _read_options(run.folder)
            if left == options and resume:
                return run
            if left == options or left is None:
                run.remove()
                continue
            others.append(left)
            run._lock.release()
        if resume and others:
            raise ResumeError(_differences(others[-1], options))
        return cls._new(parent, options)

    @classmethod
    def _new(cls, parent: Path, options: dict[str, Any]) -> "UnfinishedRun":
        number = uuid.uuid4().hex[:12]
        unseen, folder = parent / f"{UNSEEN}{number}", parent / f"{PREFIX}{number}"
        try:
            _make(unseen)
            lock = FileLock(unseen / "lock")
            lock.acquire()
            write_json(unseen / OPTIONS, options)
            unseen.rename(folder)  # Only now, when it is locked, do other runs see it.
        except OSError as error:
            _delete(unseen)
            if is_full_disk(error):
                raise DiskFullError("the run's options", parent) from error
            raise NotWritableError("--models-dir", parent.parent, error) from error
        return cls(folder, lock, resumed=False)

    @classmethod
    def _left(cls, parent: Path) -> Iterator["UnfinishedRun"]:
        """The runs that no living process holds, locked for the caller."""
        for folder in _folders(parent, PREFIX):
            lock = FileLock(folder / "lock")
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):  # It lives, was just deleted, or is of another user.
                continue
            yield cls(folder, lock, resumed=True)

    def keep_data(self, digest: str) -> None:
        """Notes the images that the run is made from.

        Args:
            digest: Of the images with their labels and splits.

        Raises:
            ResumeError: The run was begun with other images; it is left as it is.
        """
        path = self.folder / DATA
        if path.exists() and path.read_text() != digest:
            raise ResumeError([f"data: images with digest {path.read_text()}, now {digest}"])
        path.write_text(digest)

    def remember(self, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was found for this run once; a resumed one need not find it again.

        Args:
            name: Of the file in which it is noted, without the suffix.
            find: Gives it: numbers, texts and lists of them.
        """
        path = self.folder / f"{name}.json"
        with contextlib.suppress(FileNotFoundError, ValueError):
            return json.loads(path.read_text(encoding="utf-8"))
        found = find()
        with appearing(path) as temporary:
            write_json(temporary, found)
        return found

    def __enter__(self) -> "UnfinishedRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Deletes the run that is done, or failed for good; an interrupted one can be resumed."""
        mendable = kind is not None and issubclass(kind, (OSError, ResumeError))
        if kind is None or (issubclass(kind, ToolkitError) and not mendable):
            self.remove()
        else:
            self._lock.release()

    def remove(self) -> None:
        """Deletes the folder and all in it, and the model's folder if it is then empty."""
        unseen = self.folder.with_name(f"{UNSEEN}{uuid.uuid4().hex[:12]}")
        with contextlib.suppress(FileNotFoundError):
            self.folder.rename(unseen)  # Otherwise another run might take up what is left of it.
        _delete(unseen)
        self._lock.release()


def _make(folder: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):  # A run that ends has removed the parent.
            return folder.mkdir(parents=True)
    return folder.mkdir(parents=True)


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # It holds versions or other runs.
        folder.parent.rmdir()


def _delete_abandoned(parent: Path) -> None:
    """Deletes what processes left that were killed while they started or ended."""
    for folder in _folders(parent, UNSEEN):
        if time.time() - _modified(folder) > ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _folders(parent: Path, prefix: str) -> list[Path]:
    """The folders whose name begins so, the longest unchanged first."""
    try:
        names = os.listdir(parent)
    except OSError:
        return []  # There is none yet, or making one will tell what is wrong.
    return sorted((parent / name for name in names if name.startswith(prefix)), key=_modified)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()  # Another run has just deleted it.


def _read_options(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # It was killed before it had done anything.


def _differences(left: dict[str, Any], options: dict[str, Any]) -> list[str]:
    left, options = ({**each, **each.get("data", {})} for each in (left, options))
    names = {*left, *options} - {"data"}
    changed = sorted(name for name in names if left.get(name) != options.get(name))
    return [f"{name}: {left.get(name)!r}, now {options.get(name)!r}" for name in changed]
