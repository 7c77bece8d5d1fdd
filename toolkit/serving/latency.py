"""How long a SavedModel takes for one image."""

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from toolkit.serving.loaded import ask

RUNS = 10


def measure_latency(predict: Callable[[Sequence[bytes]], np.ndarray], image: bytes) -> float:
    """Milliseconds from an encoded image to its probabilities: the median of ten runs.

    Args:
        predict: As `Classifier.predict_bytes`.
        image: An encoded image; one and the same, where classifiers are compared.
    """
    predict([image])  # The first run makes ready what later ones use.
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        predict([image])
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 3)


def serve_saved_model(folder: Path) -> Callable[[Sequence[bytes]], np.ndarray]:
    """Loads a SavedModel, which need not be part of a bundle yet: encoded images to [N, K]."""
    return functools.partial(ask, tf.saved_model.load(str(folder)))
