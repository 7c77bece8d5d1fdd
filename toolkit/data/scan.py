"""Opens each file of a source once: content digest, format and size; names what is unusable."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, UnidentifiedImageError

from toolkit.data.sources import Listing
from toolkit.data.table import ImageTable, Problem
from toolkit.progress import Progress

FORMATS = ("JPEG", "MPO", "PNG", "BMP", "GIF", "WEBP")
"""Pillow's names of what TensorFlow decodes (MPO: a JPEG with further pictures behind it)."""

CHUNK = 1024


def scan(listing: Listing, max_pixels: int, progress: Progress) -> ImageTable:
    """Reads every file once and makes the table of those that look like images.

    The image data itself is not decoded here: files that turn out to be damaged when they are
    decoded join the table's problems then (`ImageTable.without`).

    Args:
        listing: The source's files.
        max_pixels: Images of more pixels are left out.
        progress: Shows how far it is.
    """

    def open_one(entry: tuple[str, str, str]) -> str | Problem:
        return _digest(listing.root, entry[0], max_pixels)

    good, digests, problems = [], [], list(listing.problems)
    with warnings.catch_warnings():
        # The limit that counts is max_pixels.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        opened = progress(_parallel(open_one, listing.files), len(listing.files), "Reading images")
        for entry, result in zip(listing.files, opened, strict=True):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                good.append(entry)
                digests.append(result)
    return _table(listing, good, digests, problems)


def _table(
    listing: Listing, files: list[tuple[str, str, str]], digests: list[str], problems: list[Problem]
) -> ImageTable:
    index = {name: label for label, name in enumerate(listing.classes)}
    return ImageTable(
        root=listing.root,
        classes=listing.classes,
        paths=np.array([path for path, _, _ in files], object),
        labels=np.array([index[name] for _, name, _ in files], np.int32),
        digests=np.array(digests, object),
        splits=np.array([split for _, _, split in files], object),
        given=listing.splits,
        problems=problems,
    )


def _parallel(function: Callable, items: list) -> Iterator:
    """Maps in threads, in order, holding no more than one chunk of results."""
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), CHUNK):
            yield from pool.map(function, items[start : start + CHUNK])


def _digest(root: os.PathLike[str], path: str, max_pixels: int) -> str | Problem:
    try:
        with open(os.path.join(root, path), "rb") as file:
            data = file.read()
    except OSError as error:
        return Problem(path, error.strerror or str(error))
    problem = image_problem(data, max_pixels)
    return Problem(path, problem) if problem else digest(data)


def digest(data: bytes) -> str:
    """The content digest of a file: BLAKE2b, 16 bytes, hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def image_problem(data: bytes, max_pixels: int) -> str | None:
    """Why bytes are no image that can be used, as far as their header tells, or None."""
    if not data:
        return "empty file"
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
    except UnidentifiedImageError:
        return "not a JPEG, PNG, BMP, GIF or WebP image"
    except Image.DecompressionBombError as error:
        return f"too many pixels: {error}"
    except (OSError, SyntaxError, ValueError) as error:
        return f"damaged: {error}"
    if width * height > max_pixels:
        return f"{width} x {height} pixels, more than --max-pixels {max_pixels:,}"
    return None
