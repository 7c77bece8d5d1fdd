"""Arrays that are kept on disk by the content digest of the image they were computed from."""

import contextlib
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.files import DAMAGED_ARRAYS, appearing

log = logging.getLogger("toolkit")

IN_MEMORY_BYTES = 2 << 30
"""What is read back beyond this size is mapped from a temporary file instead of held in memory."""

SMALL_SHARD_BYTES = 1 << 20
"""Shards up to this size are held in memory: each one that is mapped takes an open file."""


class ArrayStore:
    """One float32 row of a fixed width for each digest, in shards that are never changed.

    A shard is a `.npy` file of (digest, row) records, which appears whole or not at all. Processes
    that share a folder add shards of their own and need no lock. Where the folder cannot be
    written, the rows stay in memory and a message says so.

    Args:
        folder: Holds the shards of one network, weights and preparation.
        width: Numbers in a row.

    Example:
        >>> store = ArrayStore(Path("/tmp/features"), width=2)
        >>> store.add(["d1"], np.array([[0.5, 1.5]], np.float32))
        >>> store.read(["d1"])
        array([[0.5, 1.5]], dtype=float32)
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder = folder
        self._record = np.dtype([("digest", "S32"), ("row", "<f4", (width,))])
        self._shards = [
            s for s in map(self._open, sorted(folder.glob("[!.]*.npy"))) if s is not None
        ]
        self._writable = True

    def missing(self, digests: Sequence[str]) -> list[str]:
        """The digests, each once and in their order, that no row is kept for."""
        wanted = list(dict.fromkeys(digests))
        held = self._find(wanted)[0]
        return [digest for digest, row in zip(wanted, held, strict=True) if row < 0]

    def add(self, digests: Sequence[str], rows: np.ndarray) -> None:
        """Keeps the rows, float32 [N, width], of N digests."""
        shard = np.empty(len(digests), self._record)
        shard["digest"], shard["row"] = digests, rows
        self._shards.append(self._write(shard) if self._writable else shard)

    def read(self, digests: Sequence[str]) -> np.ndarray:
        """The rows of digests that are all kept: float32 [N, width]."""
        places, starts = self._find(digests)
        rows = _allocate(len(digests), self._record["row"].shape[0])
        shard_of = np.searchsorted(starts, places, side="right") - 1
        for number, shard in enumerate(self._shards):
            here = np.flatnonzero(shard_of == number)
            rows[here] = shard["row"][places[here] - starts[number]]
        return rows

    def _find(self, digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Place of each digest in the shards laid end to end (-1: none), and the shards' starts."""
        starts = np.cumsum([0, *(len(shard) for shard in self._shards)])[:-1]
        held = np.concatenate([np.empty(0, "S32"), *(s["digest"] for s in self._shards)])
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
        path = self._folder / f"{uuid.uuid4().hex}.npy"
        try:
            with appearing(path) as temporary, open(temporary, "wb") as file:
                np.save(file, shard)
            return _map(path)
        except OSError as error:
            log.warning("The cache cannot be written (%s): going on without it.", error)
            self._writable = False
            return shard


def _map(path: Path) -> np.ndarray:
    shard = np.lib.format.open_memmap(path, mode="r")
    return np.array(shard) if shard.nbytes <= SMALL_SHARD_BYTES else shard


def _allocate(count: int, width: int) -> np.ndarray:
    shape, size = (count, width), 4 * count * width
    if size <= IN_MEMORY_BYTES or shutil.disk_usage(tempfile.gettempdir()).free < 2 * size:
        return np.empty(shape, np.float32)
    with tempfile.TemporaryFile() as file:  # Deleted at once; the mapping keeps the space.
        os.ftruncate(file.fileno(), size)
        return np.memmap(file, np.float32, "r+", shape=shape)
