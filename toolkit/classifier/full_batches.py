"""Runs a network on batches of one size, whatever the number of images."""

from collections.abc import Callable

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]
"""float32 [N, ...] to a float32 array of N rows."""


def in_full_batches(run: Run, size: int) -> Run:
    """Cuts images into batches of a size, fills the last, and leaves out what the filling gives.

    So an image's result does not depend on how many others come with it, and an engine that is
    compiled for one size is never compiled again.

    Args:
        run: Takes exactly `size` images.
        size: Of a batch.
    """

    def run_any(images: np.ndarray) -> np.ndarray:
        if len(images) == size:
            return run(images)
        starts = range(0, max(len(images), 1), size)
        parts = [run(_filled(images[start : start + size], size)) for start in starts]
        return np.concatenate(parts)[: len(images)]

    return run_any


def _filled(images: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(images)
    return np.pad(images, [(0, missing)] + [(0, 0)] * (images.ndim - 1)) if missing else images
