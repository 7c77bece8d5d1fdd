"""Data sets that need no network: written once into the cache folder as ordinary class folders."""

import shutil
import tempfile
from pathlib import Path

from filelock import FileLock
from PIL import Image

from toolkit.errors import NotWritableError
from toolkit.files import cache_folder, naming_full_disk

DIGITS_COUNT = 1797


def digits_folder() -> Path:
    """Scikit-learn's 1,797 handwritten digits (UCI "Optical Recognition of Handwritten Digits").

    Each is an 8 x 8 grey-scale PNG in one of ten class folders, `0` to `9`.
    """
    folder = cache_folder() / "samples" / "digits"
    if not _is_whole(folder):
        try:
            with naming_full_disk("the sample", folder):
                folder.parent.mkdir(parents=True, exist_ok=True)
                # Without the lock, a second process would replace what the first reads by now.
                with FileLock(folder.parent / "digits.lock"):
                    _make(folder)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise NotWritableError("The cache (TOOLKIT_CACHE)", folder.parent, error) from error
    return folder


def _is_whole(folder: Path) -> bool:
    return len(list(folder.glob("?/*.png"))) == DIGITS_COUNT


def _make(folder: Path) -> None:
    if _is_whole(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
        _write_digits(Path(temporary) / "digits")
        (Path(temporary) / "digits").rename(folder)


def _write_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for name in map(str, digits.target_names):
        (folder / name).mkdir(parents=True)
    for row, (image, target) in enumerate(zip(digits.images, digits.target, strict=True)):
        pixels = (image * (255 / 16)).round().astype("uint8")
        Image.fromarray(pixels).save(folder / str(target) / f"{row:04}.png")
