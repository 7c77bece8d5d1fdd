"""Opens each file of a source once: content digest, format and size; names what is unusable."""

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from toolkit.data.listing import ListedFile, Listing
from toolkit.data.orientation import read_orientation
from toolkit.data.parts import open_image
from toolkit.data.table import FORMATS, HEADER, JPEG_END, ImageTable, Problem
from toolkit.progress import Progress

CHUNK = 1024
FILES_AT_ONCE = 32
"""What a thread is given: to hand over one file takes as long as to look at it."""

HELD_BYTES = 8 << 20
"""Smaller files are read by one call. Threads wait for each other's end of each call."""

_File = io.BufferedReader | io.BytesIO


class _Header(NamedTuple):
    """A row of `HEADER`."""

    height: int
    width: int
    orientation: int
    format: int
    is_cut: bool


class _Look(NamedTuple):
    """What opening a file has told: its content's digest, and a `HEADER`."""

    digest: str
    header: _Header


def scan(listing: Listing, max_pixels: int, progress: Progress) -> ImageTable:
    """Reads every file once and makes the table of those that look like images.

    The image data itself is not decoded here: files that turn out to be damaged when they are
    decoded join the table's problems then (`ImageTable.without`).

    Args:
        listing: The source's files.
        max_pixels: Images of more pixels are left out.
        progress: Shows how far it is.
    """

    def open_one(entry: ListedFile) -> _Look | Problem:
        return _look(listing.root, entry.path, max_pixels)

    good, looks, problems = [], [], list(listing.problems)
    with pillows_doubts_unheard():
        opened = progress(_parallel(open_one, listing.files), len(listing.files), "Reading images")
        for entry, result in zip(listing.files, opened, strict=True):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                good.append(entry)
                looks.append(result)
    return _table(listing, good, looks, problems)


def _table(
    listing: Listing, files: list[ListedFile], looks: list[_Look], problems: list[Problem]
) -> ImageTable:
    index = {name: label for label, name in enumerate(listing.classes)}
    return ImageTable(
        root=listing.root,
        classes=listing.classes,
        paths=np.array([file.path for file in files], object),
        labels=np.array([index[file.class_name] for file in files], np.int32),
        digests=np.array([look.digest for look in looks], object),
        splits=np.array([file.split for file in files], object),
        groups=np.array([file.group for file in files], object),
        given=listing.splits,
        problems=problems,
        headers=np.array([look.header for look in looks], HEADER),
    )


def _parallel(function: Callable, items: list) -> Iterator:
    """Maps in threads, in order, holding no more than one chunk of results."""
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            starts = range(0, len(chunk), FILES_AT_ONCE)
            parts = [chunk[at : at + FILES_AT_ONCE] for at in starts]
            for results in pool.map(lambda part: [function(item) for item in part], parts):
                yield from results


def _look(root: os.PathLike[str], path: str, max_pixels: int) -> _Look | Problem:
    name = os.path.join(root, path)
    try:
        with open_image(name) as file:
            held = io.BytesIO(file.read()) if _size(file) <= HELD_BYTES else file
            found = _read_header(held, max_pixels)
            if isinstance(found, str):
                return Problem(path, found)
            return _Look(digest(held), found)
    except OSError as error:
        return Problem(path, error.strerror or str(error))


def _size(file: _File) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def digest(file: _File) -> str:
    """The content digest of an open file: BLAKE2b, 16 bytes, hexadecimal."""
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@contextlib.contextmanager
def pillows_doubts_unheard() -> Iterator[None]:
    """Keeps Pillow's warnings back: TensorFlow decodes, and max_pixels is the limit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def image_problem(data: bytes, max_pixels: int) -> str | None:
    """Why bytes are no image that can be used, as far as their header tells, or None."""
    found = _read_header(io.BytesIO(data), max_pixels)
    return found if isinstance(found, str) else None


def _read_header(file: _File, max_pixels: int) -> str | _Header:
    """What is wrong with a file; otherwise its `HEADER`."""
    if not file.read(1):
        return "empty file"
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            animated_webp = image.format == "WEBP" and getattr(image, "is_animated", False)
            kind = FORMATS.index("JPEG" if image.format == "MPO" else image.format or "")
    except UnidentifiedImageError:
        return "not a JPEG, PNG, BMP, GIF or WebP image"
    except Image.DecompressionBombError:
        return f"more pixels than --max-pixels {max_pixels:,}"
    except (OSError, SyntaxError, ValueError) as error:
        return f"damaged: {error}"
    if animated_webp:
        return "an animated WebP image; only still ones are read"
    if width * height > max_pixels:
        return f"{width} x {height} pixels, more than --max-pixels {max_pixels:,}"
    if kind == FORMATS.index("JPEG"):
        return _Header(height, width, read_orientation(file), kind, _is_cut(file))
    return _Header(height, width, 1, kind, False)


def _is_cut(file: _File) -> bool:
    file.seek(-len(JPEG_END), os.SEEK_END)
    return file.read() != JPEG_END
