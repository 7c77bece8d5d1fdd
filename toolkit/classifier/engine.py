"""What runs a frozen network: the fastest engine of the machine whose results can be trusted."""

import contextlib
import functools
import hashlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path

import keras
import numpy as np

from toolkit.cache import cached_folder
from toolkit.classifier import openvino
from toolkit.classifier.boundary import cuts_where_narrow
from toolkit.classifier.devices import is_on_gpu
from toolkit.classifier.full_batches import Run, in_full_batches
from toolkit.classifier.identity import network_key
from toolkit.errors import MissingPackageError, OptionError
from toolkit.files import appearing

log = logging.getLogger("toolkit")

KERAS = "keras"
FLOAT32, MIXED, BFLOAT16 = "openvino-float32", "openvino-mixed", "openvino-bfloat16"
ENGINES = (KERAS, FLOAT32, MIXED, BFLOAT16)
ROUNDING = (MIXED, BFLOAT16)
"""Engines that compute in bfloat16: mixed all but the layers of high resolution."""

LARGEST_DIFFERENCE = {FLOAT32: 1e-3, MIXED: 0.03, BFLOAT16: 0.03}
"""From Keras' output, as a share of its Euclidean norm."""

KERAS_BATCH, LARGEST_BATCH = 32, 256
"""Images that Keras takes at once: at least, and at most on a GPU."""

GPU_PIXELS = 256 * 224 * 224
"""In a batch on a GPU: larger images come in smaller batches, or its memory would not do."""

MOST_CUTS = 2
"""Places that are tried for where mixed begins to round, from the input up."""


@dataclass(frozen=True)
class Engine:
    """Runs one network.

    Attributes:
        name: One of `ENGINES`.
        version: Of the library that computes; with the name, part of the key of its results.
        difference: From Keras on a few images, relative; 0 for Keras itself.
        batch_size: Images that it takes at once.
        run: float32 [batch_size, H, W, 3] to float32 [batch_size, ...].
    """

    name: str
    version: str
    difference: float
    batch_size: int
    run: Run

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Runs float32 [N, H, W, 3], always in full batches."""
        return in_full_batches(self.run, self.batch_size)(images)


@dataclass(frozen=True)
class Sample:
    """A few real images, read only if an engine is to be compared on them.

    Attributes:
        key: Names all that decides them.
        read: Gives them, float32 [N, H, W, 3], at least one.
    """

    key: str
    read: Callable[[], np.ndarray]


def check_engine(name: str) -> None:
    """Refuses what is no engine, and one that cannot be had here.

    Raises:
        OptionError: There is no such engine, or not on this backend.
        MissingPackageError: It is not installed.
    """
    if name not in ("auto", *ENGINES):
        raise OptionError("--engine", f"one of auto, {', '.join(ENGINES)}", name)
    if name in LARGEST_DIFFERENCE:
        if not openvino.is_installed():
            raise MissingPackageError(f"--engine {name}", "openvino")
        if keras.backend.backend() != "tensorflow":
            raise OptionError("--engine", "auto or keras with KERAS_BACKEND=jax", name)


def keras_engine(network: keras.Model) -> Engine:
    """Keras itself, whose results are those of the model that is served."""
    return Engine(KERAS, keras.__version__, 0.0, _keras_batch(network), network.predict_on_batch)


def _keras_batch(network: keras.Model) -> int:
    """On a GPU as many as fill it: an H100 runs 256 images at a time twice as fast as 32."""
    if not is_on_gpu():
        return KERAS_BATCH
    values = math.prod(network.input_shape[1:])
    return min(max(KERAS_BATCH, 3 * GPU_PIXELS // values), LARGEST_BATCH)


def choose_engine(name: str, network: keras.Model, sample: Sample, keep: bool = True) -> Engine:
    """The engine that is asked for, or the fastest, unless it differs too much from Keras.

    An engine is compared with Keras once for each network and sample; the cache keeps the result,
    so that a later start need not even make the engine ready until it is used.

    Args:
        name: One of `ENGINES`, or "auto": Keras on a GPU, otherwise OpenVINO where it is
            installed, in bfloat16 as far as the CPU has it and the network bears it.
        network: What it is to run.
        sample: What it is compared on.
        keep: Whether the cache is used.
    """
    candidates = _candidates(name)
    if not candidates:
        return keras_engine(network)

    @functools.cache
    def expected() -> np.ndarray:
        # Called once, it is done sooner than its graph is built.
        return keras.ops.convert_to_numpy(network(sample.read(), training=False))

    cuts = [[cut.lower, cut.upper] for cut in cuts_where_narrow(network, MOST_CUTS)]
    for candidate in candidates:
        divisions = cuts if candidate == MIXED else cuts[:1] or [[network]]
        engine = _first_that_agrees(candidate, network, divisions, sample, expected, keep)
        if engine is not None:
            return engine
    return keras_engine(network)


def _candidates(name: str) -> list[str]:
    """The engines to try, the fastest first."""
    fastest_first = [BFLOAT16, MIXED, FLOAT32]
    if name != "auto":
        return fastest_first[fastest_first.index(name) :] if name in fastest_first else []
    if keras.backend.backend() != "tensorflow" or is_on_gpu():
        return []
    if not openvino.is_installed():
        log.warning("Features are computed several times faster with: pip install openvino")
        return []
    return fastest_first if openvino.has_bfloat16() else [FLOAT32]


def _first_that_agrees(
    name: str,
    network: keras.Model,
    divisions: list[list[keras.Model]],
    sample: Sample,
    expected: Callable[[], np.ndarray],
    keep: bool,
) -> Engine | None:
    """An engine whose difference from Keras is small, of those that run a network's parts."""
    is_news = False
    for parts in divisions:
        engine = _openvino_engine(name, parts, keep)
        difference, is_news = _difference_from_keras(engine, network, sample, expected, keep)
        if difference <= LARGEST_DIFFERENCE[name]:
            return replace(engine, difference=difference)
    if is_news:
        message = "%s is not used for %s: it differs from Keras by %.2g, more than %g."
        log.warning(message, name, network.name, difference, LARGEST_DIFFERENCE[name])
    return None


def _openvino_engine(name: str, parts: list[keras.Model], keep: bool) -> Engine:
    runs = [_compile(part, name, place, keep) for place, part in enumerate(parts)]
    version = openvino.version()
    if name == MIXED:
        version += " from " + "x".join(map(str, parts[1].input_shape[1:]))
    return Engine(name, version, 0.0, openvino.BATCH_SIZE, partial(reduce, _call, runs))


def _call(value: np.ndarray, run: Run) -> np.ndarray:
    return run(value)


def _compile(part: keras.Model, name: str, place: int, keep: bool) -> Run:
    rounds = name == BFLOAT16 or (name == MIXED and place > 0)

    @functools.cache
    def compiled() -> Run:
        return openvino.compile_network(
            partial(openvino.convert_network, part),
            [part.input_shape[1:]],
            "bf16" if rounds else "f32",
            _folder(part) / "converted" if keep else None,
        )

    return lambda images: compiled()(images)


def _difference_from_keras(
    engine: Engine,
    network: keras.Model,
    sample: Sample,
    expected: Callable[[], np.ndarray],
    keep: bool,
) -> tuple[float, bool]:
    """The engine's difference from Keras on a sample, and whether it was not known before.

    Args:
        engine: What is compared.
        network: What it runs.
        sample: What it is compared on.
        expected: Gives what Keras makes of the sample.
        keep: Whether the cache is used.
    """
    key = f"{engine.version} {sample.key}"
    digest = hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    record = _folder(network) / f"difference-{engine.name}-{digest}.json" if keep else None
    known = _read(record) if record else None
    if known is not None:
        return known, False
    difference = _difference(engine(sample.read()), expected())
    if record:
        _write(record, difference)
    return difference, True


def _difference(values: np.ndarray, expected: np.ndarray) -> float:
    """Euclidean distance as a share of what is expected; infinite where a value is no number."""
    norm = max(float(np.linalg.norm(expected)), 1e-12)
    difference = float(np.linalg.norm(values - expected)) / norm
    return difference if np.isfinite(difference) else float("inf")


def _read(record: Path) -> float | None:
    try:
        return float(json.loads(record.read_text()))
    except (OSError, ValueError, TypeError):  # There is none, or it is damaged: compare again.
        return None


def _write(record: Path, difference: float) -> None:
    with contextlib.suppress(OSError), appearing(record) as temporary:
        temporary.write_text(json.dumps(difference))


def _folder(network: keras.Model) -> Path:
    """The cache's folder of a converted network."""
    return cached_folder("networks", {**network_key(network), "openvino": openvino.version()})
