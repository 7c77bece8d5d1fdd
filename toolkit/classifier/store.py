"""Arrays that are kept on disk by the content digest of the image they were computed from."""

import contextlib
import functools
import logging
import mmap
import os
import resource
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.files import DAMAGED_ARRAYS, appearing

log = logging.getLogger("toolkit")

IN_MEMORY_BYTES = 256 << 20
"""What is read back beyond this size is mapped from a temporary file instead of held in memory."""

SMALL_SHARD_BYTES = 1 << 20
"""Shards up to this size are held in memory: each one that is mapped takes an open file."""

OPEN_FILES = 10_240
"""So many are asked for, where the system begins with fewer (256, 1,024); macOS allows no more."""


class ArrayStore:
    """One array of a fixed shape for each digest, in shards that are never changed.

    A shard is a `.npy` file of (digest, row) records, which appears whole or not at all. Processes
    that share a folder add shards of their own and need no lock. Where the folder cannot be
    written, the rows stay in memory and a message says so.

    Args:
        folder: Holds the shards of all that is computed in one way.
        shape: Of a row.
        dtype: What rows are kept as; numbers beyond the range of float16 become its largest.
        keep: Whether to write at all; otherwise rows stay in memory.

    Example:
        >>> store = ArrayStore(Path("/tmp/features"), shape=(2,))
        >>> store.add(["d1"], np.array([[0.5, 1.5]], np.float32))
        >>> store.read(["d1"])
        array([[0.5, 1.5]], dtype=float32)
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], dtype: str = "float32", keep: bool = True
    ) -> None:
        self.folder = folder
        self.row = np.dtype((np.dtype(dtype).newbyteorder("<"), shape))
        self._record = np.dtype([("digest", "S32"), ("row", self.row)])
        paths = sorted(folder.glob("[!.]*.npy")) if keep else []
        self._shards = [s for s in map(self._open, paths) if s is not None]
        self.writable = keep

    def missing(self, digests: Sequence[str]) -> list[str]:
        """The digests, each once and in their order, that no row is kept for."""
        wanted = list(dict.fromkeys(digests))
        held = self._find(wanted)[0]
        return [digest for digest, row in zip(wanted, held, strict=True) if row < 0]

    def add(self, digests: Sequence[str], rows: np.ndarray) -> None:
        """Keeps the rows, float [N, *shape], of N digests."""
        limit = np.finfo(self.row.base).max
        shard = np.empty(len(digests), self._record)
        shard["digest"], shard["row"] = digests, np.clip(rows, -limit, limit)
        self._shards.append(self._write(shard) if self.writable else shard)

    def read(self, digests: Sequence[str]) -> np.ndarray:
        """The rows of digests that are all kept: [N, *shape]."""
        rows = _allocate((len(digests), *self.row.shape), self.row.base)
        return self.rows(digests).take(np.arange(len(digests)), rows)

    def rows(self, digests: Sequence[str]) -> "StoredRows":
        """The same without reading them yet.

        Raises:
            LookupError: A digest is not kept.
        """
        places, starts = self._find(digests)
        if len(places) and places.min() < 0:
            count, first = (places < 0).sum(), digests[int(places.argmin())]
            raise LookupError(f"{self.folder} lacks {count} of {len(digests)} digests: {first} ...")
        return StoredRows(self._shards, places, starts, self.row)

    def _find(self, digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Place of each digest in the shards laid end to end (-1: none), and the shards' starts."""
        starts = np.cumsum([0, *(len(shard) for shard in self._shards)])[:-1]
        held = np.concatenate([np.empty(0, "S32"), *map(_digests, self._shards)])
        order = np.argsort(held, kind="stable")
        wanted = np.array(digests, "S32")
        at = np.searchsorted(held, wanted, sorter=order)
        places = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros_like(at)
        found = held[places] == wanted if len(order) else np.zeros(len(wanted), bool)
        return np.where(found, places, -1), starts

    def _open(self, path: Path) -> np.ndarray | None:
        try:
            shard = _map(path)
            if shard.dtype == self._record and shard.ndim == 1:
                return shard
            problem = f"it holds {shard.dtype}, shape {shard.shape}"
        except FileNotFoundError:  # Another process has just deleted it.
            return None
        except OSError as error:
            log.warning("The cache cannot be read (%s): its content is computed again.", error)
            return None
        except DAMAGED_ARRAYS as error:
            problem = str(error)
        log.warning("%s in the cache is damaged and computed again (%s).", path, problem)
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def _write(self, shard: np.ndarray) -> np.ndarray:
        path = self.folder / f"{uuid.uuid4().hex}.npy"
        try:
            with appearing(path) as temporary, open(temporary, "wb") as file:
                np.save(file, shard)
            return _map(path)
        except OSError as error:
            log.warning("The cache cannot be written (%s): going on without it.", error)
            self.writable = False
            return shard


class StoredRows:
    """Rows of a store in a given order, read when they are taken."""

    def __init__(
        self, shards: list[np.ndarray], places: np.ndarray, starts: np.ndarray, row: np.dtype
    ) -> None:
        self._shards = list(shards)
        self._places = places
        self._starts = starts
        self._row = row

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""
        return self._row.shape

    def take(self, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Those with these indices, in their order: [len(indices), *shape].

        Args:
            indices: Of the rows.
            out: Takes them, where that is all that will be taken: mapped shards then leave memory,
                and so do the rows, if they are mapped, until they are used.
        """
        rows = np.empty((len(indices), *self._row.shape), self._row.base) if out is None else out
        places = self._places[indices]
        shard_of = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(shard_of):
            here = np.flatnonzero(shard_of == number)
            rows[here] = self._shards[number]["row"][places[here] - self._starts[number]]
            if out is not None:
                _forget(self._shards[number])
                _forget(out)
        return rows


def _map(path: Path) -> np.ndarray:
    _allow_open_files()
    shard = np.lib.format.open_memmap(path, mode="r")
    return np.array(shard) if shard.nbytes <= SMALL_SHARD_BYTES else shard


def _digests(shard: np.ndarray) -> np.ndarray:
    """A copy of a shard's digests; they lie in so many of its pages that all are read for them."""
    digests = shard["digest"].copy()
    _forget(shard)
    return digests


def _forget(array: np.ndarray) -> None:
    """Gives the memory back that a mapped array's pages take; they stay in the system's cache."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


@functools.cache
def _allow_open_files() -> None:
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _allocate(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape)) * dtype.itemsize
    if size <= IN_MEMORY_BYTES or shutil.disk_usage(tempfile.gettempdir()).free < 2 * size:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # Deleted at once; the mapping keeps the space.
        os.ftruncate(file.fileno(), size)
        return np.memmap(file, dtype, "r+", shape=shape)
