"""Temporary folders: a cache of one's own, and images as other tools want them."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit.data.table import ImageTable
from toolkit.errors import ToolkitError

SPARED_BYTES = 2 << 30


@contextlib.contextmanager
def own_cache() -> Iterator[Path]:
    """An empty cache for what is done inside, in this process and those that it starts."""
    with temporary_folder() as folder, cache_at(folder):
        yield folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes at the end of the block; `TMPDIR` says where it is made."""
    with tempfile.TemporaryDirectory(prefix="toolkit-benchmark-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def cache_at(folder: Path) -> Iterator[None]:
    """The cache in this folder."""
    before = os.environ.get("TOOLKIT_CACHE")
    os.environ["TOOLKIT_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOOLKIT_CACHE"]
        else:
            os.environ["TOOLKIT_CACHE"] = before


@contextlib.contextmanager
def linked_folder(files: Sequence[Path]) -> Iterator[Path]:
    """A folder of links to files, in their order, for tools that list a folder themselves."""
    with temporary_folder() as folder:
        for number, file in enumerate(files):
            link(file, folder, number)
        yield folder


def link(file: Path, folder: Path, number: int) -> None:
    """Links a file under a number; Keras looks at the suffix, but decodes by content."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number:07}.jpg").symlink_to(file.absolute())


def link_classes(table: ImageTable, folder: Path) -> None:
    """Links a table's images into a folder for each class."""
    for row, label in enumerate(table.labels):
        link(table.file(row), folder / table.classes[label], row)


@contextlib.contextmanager
def repeated_images(files: list[Path], count: int) -> Iterator[Path]:
    """A folder of as many images as asked for, out of a few; it goes at the end of the block.

    Each has other bytes behind its end: its content differs, its pixels do not.
    """
    with temporary_folder() as folder:
        _check_disk(files, count, folder)
        for number, file in zip(range(count), itertools.cycle(files), strict=False):
            changed = file.read_bytes() + b"toolkit-benchmark-%d" % number
            (folder / f"{number:07}.jpg").write_bytes(changed)
        yield folder


def _check_disk(files: list[Path], count: int, folder: Path) -> None:
    needed = count * sum(file.stat().st_size for file in files) // len(files)
    free = shutil.disk_usage(folder).free
    if needed > free - SPARED_BYTES:
        raise ToolkitError(
            f"{count:,} images take {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB free; "
            "give smaller --sizes, or another TMPDIR."
        )
