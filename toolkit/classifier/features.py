"""What a frozen network computes for images: once for each content, kept on disk."""

import dataclasses
import functools
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.cache import cached_folder, free_bytes, make_room
from toolkit.classifier.engine import ROUNDING, Engine
from toolkit.classifier.identity import network_key
from toolkit.classifier.store import IN_MEMORY_BYTES, ArrayStore
from toolkit.data.batches import image_batches, view_batches
from toolkit.data.decoding_problems import decoding_problems
from toolkit.data.prepare import Preparation
from toolkit.data.splits import assign_splits
from toolkit.data.table import ImageTable, Problem
from toolkit.data.views import Views
from toolkit.progress import Progress

BATCH_SIZE = 32
SECONDS_BETWEEN_SHARDS = 15
LOSABLE_SHARE = 0.05
"""Of a long run's work: later shards are larger, lest there be thousands of files."""

SPARED_BYTES = 1 << 30
"""Of the disk are left free."""

SHARD_BYTES = 32 << 20
"""Shards are no larger, however long the run: they are held in memory until they are written."""


class NoRoomError(Exception):
    """The disk has no room for what was to be kept."""


@dataclass(frozen=True)
class Features:
    """What a frozen network gives for a table's images.

    Attributes:
        table: The images that could be decoded; its problems name the others.
        computed: How many were not in the cache.
        store: Holds their features.
    """

    table: ImageTable
    computed: int
    store: ArrayStore

    @functools.cached_property
    def values(self) -> np.ndarray:
        """[N, D], the table's rows: float32 in memory; where they are many, as kept and mapped."""
        values = self.store.read(list(self.table.digests))
        return values if 2 * values.nbytes > IN_MEMORY_BYTES else values.astype(np.float32)

    def with_splits(self, fractions: Sequence[float] | str, seed: int) -> "Features":
        """The same features, with the table's images shared out."""
        return dataclasses.replace(self, table=assign_splits(self.table, fractions, seed))

    def split(self, name: str) -> "Features":
        """Those of one split."""
        return dataclasses.replace(self, table=self.table.split(name))


def compute_features(
    table: ImageTable,
    network: keras.Model,
    preparation: Preparation,
    engine: Engine,
    progress: Progress,
    *,
    dtype: str | None = None,
    cache_bytes: int = 20 * 10**9,
    description: str = "Computing features",
) -> Features:
    """Runs a frozen network over those images whose features are not in the cache.

    Args:
        table: The images; files with the same content are computed once.
        network: Gives features [N, ...] for float32 [N, height, width, 3].
        preparation: How its input is made.
        engine: What runs it.
        progress: Shows how far it is.
        dtype: Features are kept as; by default float16 where the engine is no more exact than
            that, otherwise float32.
        cache_bytes: What else is in the cache makes room for them beyond that; 0: no cache.
        description: What progress says.
    """
    dtype = dtype or ("float16" if engine.name in ROUNDING else "float32")
    key = _key(network, preparation, engine, dtype)
    store = _open_store("features", key, network, dtype, cache_bytes)
    todo = _todo(table, [store])
    if not len(todo):
        return Features(table, 0, store)
    _make_room(len(todo) * store.row.itemsize, cache_bytes, [store])
    size = _batch_size(engine)
    batches = ((rows, 0, images) for rows, images in image_batches(todo, preparation, size))
    shown = progress(batches, -(-len(todo) // size), description)
    decoded = _fill([store], todo, shown, engine)
    problems = decoding_problems(todo, list(np.flatnonzero(~decoded)), preparation)
    return Features(table.without(_with_copies(table, problems)), int(decoded.sum()), store)


def compute_views(
    table: ImageTable,
    network: keras.Model,
    preparation: Preparation,
    engine: Engine,
    views: Views,
    progress: Progress,
    cache_bytes: int,
    *,
    on_disk: bool = True,
) -> list[ArrayStore]:
    """Runs a frozen network over augmented views of a table's images, all of them readable.

    Each image is decoded once for all its views.

    Args:
        table: The training split.
        network: Gives activations [N, ...] for float32 [N, height, width, 3].
        preparation: How an image is made ready to be augmented.
        engine: What runs the network.
        views: What is drawn, and how often.
        progress: Shows how far it is.
        cache_bytes: What else is in the cache makes room for them beyond that.
        on_disk: Whether they are too many to be held in memory where they cannot be kept.

    Returns:
        A store for each view, float16, which holds a row for each image.

    Raises:
        NoRoomError: They must be kept on disk, and cannot.
    """
    key = _key(network, preparation, engine, "float16")
    stores = [
        _open_store("views", {**key, **views.key(number)}, network, "float16", cache_bytes)
        for number in range(views.count)
    ]
    todo = _todo(table, stores)
    lacking = [k for k, store in enumerate(stores) if store.missing(list(table.digests))]
    if lacking:
        needed = len(todo) * len(lacking) * stores[0].row.itemsize
        _make_room(needed, cache_bytes, stores)
        if on_disk:
            _check_disk(needed, stores[0].folder)
        size = _batch_size(engine)
        batches = view_batches(todo, preparation, size, views, lacking)
        shown = progress(batches, -(-len(todo) // size) * len(lacking), "Computing views")
        try:
            _fill(stores, todo, shown, engine, on_disk)
        except NoRoomError:
            for number in lacking:  # Half of them would only keep the disk full.
                shutil.rmtree(stores[number].folder, ignore_errors=True)
            raise
    return stores


def _key(
    network: keras.Model, preparation: Preparation, engine: Engine, dtype: str
) -> dict[str, Any]:
    """All that decides a feature's value."""
    return {
        **network_key(network),
        "preparation": preparation.key,
        "engine": f"{engine.name} {engine.version}",
        "dtype": dtype,
    }


def _open_store(
    kind: str, key: dict[str, Any], network: keras.Model, dtype: str, cache_bytes: int
) -> ArrayStore:
    shape = tuple(network.output_shape[1:])
    keep = cache_bytes > 0
    return ArrayStore(cached_folder(kind, key, keep), shape, dtype, keep)


def _todo(table: ImageTable, stores: list[ArrayStore]) -> ImageTable:
    """The first image of each content that a store lacks."""
    digests = list(table.digests)
    missing = dict.fromkeys(digest for store in stores for digest in store.missing(digests))
    first_rows = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    return table.rows(np.array([first_rows[digest] for digest in missing], np.int64))


def _batch_size(engine: Engine) -> int:
    """Images that are read at once: no fewer than the engine takes, or it would fill them up."""
    return max(BATCH_SIZE, engine.batch_size)


def _make_room(needed: int, cache_bytes: int, stores: list[ArrayStore]) -> None:
    if cache_bytes:
        make_room(max(0, cache_bytes - needed), *(store.folder for store in stores))


def _check_disk(needed: int, folder: Path) -> None:
    free = free_bytes(folder)
    if needed > free - SPARED_BYTES:
        raise NoRoomError(f"views take {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB")


def _fill(
    stores: list[ArrayStore],
    table: ImageTable,
    batches: Iterable[tuple[np.ndarray, int, np.ndarray]],
    engine: Engine,
    on_disk: bool = False,
) -> np.ndarray:
    """Computes and keeps what the engine gives; tells which rows could be decoded: bool [N]."""
    decoded = np.zeros(len(table), bool)
    for rows, number, values in _gather(batches, engine):
        stores[number].add(list(table.digests[rows]), values)
        if on_disk and not stores[number].writable:
            raise NoRoomError("the cache cannot be written")
        decoded[rows] = True
    return decoded


def _gather(
    batches: Iterable[tuple[np.ndarray, int, np.ndarray]], engine: Engine
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Results of many batches at a time, so that a killed run loses little of its work."""
    begun = since = time.monotonic()
    held: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    size = 0
    for rows, number, images in batches:
        values = engine(images)
        held.setdefault(number, []).append((rows, values))
        size += values.nbytes
        now = time.monotonic()
        due = now - since > max(SECONDS_BETWEEN_SHARDS, LOSABLE_SHARE * (now - begun))
        if due or size > SHARD_BYTES:
            yield from _joined(held)
            held, size, since = {}, 0, now
    yield from _joined(held)


def _joined(
    held: dict[int, list[tuple[np.ndarray, np.ndarray]]],
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    for number, parts in held.items():
        rows, values = zip(*parts, strict=True)
        yield np.concatenate(rows), number, np.concatenate(values)


def _with_copies(table: ImageTable, problems: list[Problem]) -> list[Problem]:
    """The problems of all files with the same content as those that were tried."""
    reasons = {problem.path: problem.reason for problem in problems}
    if not reasons:
        return []
    bad = {d: reasons[p] for p, d in zip(table.paths, table.digests, strict=True) if p in reasons}
    pairs = zip(table.paths, table.digests, strict=True)
    return [Problem(path, bad[digest]) for path, digest in pairs if digest in bad]
