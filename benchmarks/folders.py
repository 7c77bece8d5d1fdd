"""Temporary folders: a cache of one's own, and images as other tools want them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


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
