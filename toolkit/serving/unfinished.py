"""Runs that are not published yet: a folder each, locked while its process lives."""

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from toolkit.errors import ResumeError, ToolkitError
from toolkit.serving.bundle import write_json

PREFIX = ".unfinished-"
OPTIONS = "options.json"


class UnfinishedRun:
    """The folder in which a run keeps its state and makes its bundle.

    It lies beside the versions of its model, hidden from servers. The lock on it ends with the
    process, however that ends; what is then left can be resumed.

    Attributes:
        folder: Where the run's files go.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
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
        """
        options = json.loads(json.dumps(options))
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
        starting, folder = parent / f".starting-{number}", parent / f"{PREFIX}{number}"
        starting.mkdir(parents=True)
        lock = FileLock(starting / "lock")
        lock.acquire()
        write_json(starting / OPTIONS, options)
        starting.rename(folder)  # Only now, when it is locked, do other runs see it.
        return cls(folder, lock)

    @classmethod
    def _left(cls, parent: Path) -> Iterator["UnfinishedRun"]:
        """The runs that no living process holds, locked for the caller."""
        for folder in sorted(parent.glob(f"{PREFIX}*"), key=lambda path: path.stat().st_mtime):
            lock = FileLock(folder / "lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            yield cls(folder, lock)

    def __enter__(self) -> "UnfinishedRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Deletes the run that is done, or failed for good; an interrupted one can be resumed."""
        if kind is None or (issubclass(kind, ToolkitError) and not issubclass(kind, OSError)):
            self.remove()
        else:
            self._lock.release()

    def remove(self) -> None:
        """Deletes the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def _read_options(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # It was killed before it had done anything.


def _differences(left: dict[str, Any], options: dict[str, Any]) -> list[str]:
    names = sorted(name for name in {*left, *options} if left.get(name) != options.get(name))
    return [f"{name}: {left.get(name)!r}, now {options.get(name)!r}" for name in names]
