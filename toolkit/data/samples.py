"""Data sets that need no network: written once into the cache folder as ordinary class folders."""

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from toolkit.files import cache_folder

DIGITS_COUNT = 1797


def digits_folder() -> Path:
    """Scikit-learn's 1,797 handwritten digits (UCI "Optical Recognition of Handwritten Digits").

    Each is an 8 x 8 grey-scale PNG in one of ten class folders, `0` to `9`.
    """
    folder = cache_folder() / "samples" / "digits"
    if len(list(folder.glob("?/*.png"))) != DIGITS_COUNT:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as temporary:
            _write_digits(Path(temporary))
            shutil.rmtree(folder, ignore_errors=True)
            _move(Path(temporary), folder)
    return folder


def _write_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for name in map(str, digits.target_names):
        (folder / name).mkdir()
    for row, (image, target) in enumerate(zip(digits.images, digits.target, strict=True)):
        pixels = (image * (255 / 16)).round().astype("uint8")
        Image.fromarray(pixels).save(folder / str(target) / f"{row:04}.png")


def _move(made: Path, folder: Path) -> None:
    """Renames what was made; where another process was faster, its copy stays."""
    try:
        os.rename(made, folder)
        made.mkdir()  # TemporaryDirectory removes it on leaving.
    except OSError:
        if not folder.is_dir():
            raise
