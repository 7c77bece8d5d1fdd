"""Where files go and how they appear: whole or not at all."""

import contextlib
import errno
import os
import tempfile
import tokenize
import uuid
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from toolkit.errors import DiskFullError, ToolkitError

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

DAMAGED_ARRAYS = (ValueError, EOFError, SyntaxError, tokenize.TokenError)
"""What NumPy raises over a file that is no array, or a damaged one."""


def cache_folder() -> Path:
    """The folder of everything that can be deleted without loss.

    `TOOLKIT_CACHE` names it; otherwise it is in the user's (`XDG_CACHE_HOME` is honoured).
    """
    named = os.environ.get("TOOLKIT_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("toolkit", appauthor=False)


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write to, and renames it to `path` at the end.

    Readers see the old file or the whole new one, also when the process is killed in between.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by mkstemp: the file is to have the permissions that files have here.
    temporary = path.with_name(f".writing-{uuid.uuid4().hex}{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """As `appearing`, for a folder. One that another process has made meanwhile stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as temporary:
        made = Path(temporary) / path.name
        made.mkdir()
        yield made
        try:
            made.rename(path)
        except OSError:
            if not path.exists():
                raise


@contextlib.contextmanager
def naming_full_disk(what: str, where: Path) -> Iterator[None]:
    """Turns any error that comes of a full disk into one that says so; others pass."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, ToolkitError) and is_full_disk(error):
            raise DiskFullError(what, where) from error
        raise


def is_full_disk(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that no more could be written."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL_DISK:
            return True
        cause = cause.__cause__ or cause.__context__
    return "No space left on device" in str(error) or "File too large" in str(error)
