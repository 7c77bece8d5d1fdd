"""What a frozen network computes for images: once for each content, kept on disk."""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.classifier.store import ArrayStore
from toolkit.data.batches import decoding_problems, image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.splits import assign_splits
from toolkit.data.table import ImageTable, Problem
from toolkit.files import appearing, cache_folder
from toolkit.progress import Progress

BATCH_SIZE = 32
SECONDS_BETWEEN_SHARDS = 15
LOSABLE_SHARE = 0.05
"""Of a long run's work: later shards are larger, lest there be thousands of files."""


@dataclass(frozen=True)
class Features:
    """Pooled features of a table's images.

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
        """float32 [N, D], a row for each of the table's; mapped from disk where it is large."""
        return self.store.read(list(self.table.digests))

    def with_splits(self, fractions: Sequence[float], seed: int) -> "Features":
        """The same features, with the table's images shared out."""
        return dataclasses.replace(self, table=assign_splits(self.table, fractions, seed))

    def split(self, name: str) -> "Features":
        """Those of one split."""
        return dataclasses.replace(self, table=self.table.split(name))


def compute_features(
    table: ImageTable,
    network: keras.Model,
    preparation: Preparation,
    progress: Progress,
) -> Features:
    """Runs a frozen network over those images whose features are not in the cache.

    Args:
        table: The images; files with the same content are computed once.
        network: Gives pooled features float32 [N, D] for float32 [N, height, width, 3].
        preparation: How its input is made.
        progress: Shows how far it is.
    """
    store = ArrayStore(_folder(network, preparation), network.output_shape[-1])
    first_rows = {digest: row for row, digest in reversed(list(enumerate(table.digests)))}
    todo = table.rows(
        np.array([first_rows[d] for d in store.missing(list(table.digests))], np.int64)
    )
    problems: list[Problem] = []
    if len(todo):
        problems = _fill(store, todo, network, preparation, progress)
        table = table.without(_with_copies(table, problems))
    return Features(table, len(todo) - len(problems), store)


def weights_digest(model: keras.Model) -> str:
    """A digest of all of a model's weights: hexadecimal, 32 characters."""
    digest = hashlib.blake2b(digest_size=16)
    for weight in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _layers_digest(network: keras.Model) -> str:
    """A digest of the architecture, whatever names Keras has counted up for its layers."""
    network_config = json.loads(network.to_json())
    names = [layer["name"] for layer in network_config["config"]["layers"]]
    numbers = {name: f"layer-{number}" for number, name in enumerate(names)}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items() if key != "trainable"}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    text = json.dumps(renamed(network_config))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _folder(network: keras.Model, preparation: Preparation) -> Path:
    """The cache's folder for all that decides a feature's value."""
    key = {
        "network": network.name,
        "layers": _layers_digest(network),
        "weights": weights_digest(network),
        "preparation": preparation.key,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
    text = json.dumps(key, indent=2)
    folder = cache_folder() / "features" / hashlib.sha256(text.encode()).hexdigest()[:24]
    if not (folder / "key.json").exists():
        _describe(folder, text)
    return folder


def _describe(folder: Path, text: str) -> None:
    try:
        with appearing(folder / "key.json") as temporary:
            temporary.write_text(text)
    except OSError:  # The store says so, once, when it cannot be written.
        return


def _fill(
    store: ArrayStore,
    table: ImageTable,
    network: keras.Model,
    preparation: Preparation,
    progress: Progress,
) -> list[Problem]:
    """Computes and keeps the features of a table; gives the images that cannot be decoded."""
    decoded = np.zeros(len(table), bool)
    steps = -(-len(table) // BATCH_SIZE)
    batches = progress(image_batches(table, preparation, BATCH_SIZE), steps, "Computing features")
    for rows, values in _gather(batches, network):
        store.add(list(table.digests[rows]), values)
        decoded[rows] = True
    return decoding_problems(table, list(np.flatnonzero(~decoded)), preparation)


def _gather(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], network: keras.Model
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features of many batches at a time, so that a killed run loses little of its work."""
    begun = since = time.monotonic()
    rows, values = [], []
    for batch_rows, images in batches:
        rows.append(batch_rows)
        values.append(network.predict_on_batch(images))
        now = time.monotonic()
        if now - since > max(SECONDS_BETWEEN_SHARDS, LOSABLE_SHARE * (now - begun)):
            yield np.concatenate(rows), np.concatenate(values)
            rows, values, since = [], [], now
    if rows:
        yield np.concatenate(rows), np.concatenate(values)


def _with_copies(table: ImageTable, problems: list[Problem]) -> list[Problem]:
    """The problems of all files with the same content as those that were tried."""
    reasons = {problem.path: problem.reason for problem in problems}
    if not reasons:
        return []
    bad = {d: reasons[p] for p, d in zip(table.paths, table.digests, strict=True) if p in reasons}
    pairs = zip(table.paths, table.digests, strict=True)
    return [Problem(path, bad[digest]) for path, digest in pairs if digest in bad]
