"""Where commands write what they are asked for: checked before the work, not after it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from toolkit.errors import NotWritableError, OptionError
from toolkit.files import appearing, naming_full_disk


def check_writable(folder: Path) -> None:
    """Refuses a folder in which nothing can be made; one that is not there yet is not made.

    Raises:
        NotWritableError: Nothing can be written there.
    """
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise NotWritableError("--output", folder, error) from error


def picture_path(output: str | os.PathLike[str]) -> Path:
    """The path of a picture that is to be drawn.

    Raises:
        OptionError: It is not named as a PNG file.
        NotWritableError: Nothing can be written there.
    """
    path = Path(output).expanduser()
    if path.suffix.lower() != ".png":
        raise OptionError("--output", "a file whose name ends in .png", str(path))
    check_writable(path.parent)
    return path


@contextlib.contextmanager
def drawn_to(path: Path) -> Iterator[Path]:
    """Gives a temporary path to draw to; the picture appears whole, or not at all.

    Raises:
        NotWritableError: It cannot be written.
        DiskFullError: The disk is full.
    """
    try:
        with naming_full_disk("the picture", path), appearing(path) as temporary:
            yield temporary
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise NotWritableError("--output", path.parent, error) from error
