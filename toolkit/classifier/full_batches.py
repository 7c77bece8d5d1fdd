"""Runs a network on batches of one size, whatever the number of images."""

from collections.abc import Callable

import numpy as np

Run = Callable[..., np.ndarray]
"""float32 [N, ...], one such array for each of a network's inputs, to a float32 array of N rows."""


def in_full_batches(run: Run, size: int) -> Run:
    """Cuts images into batches of a size, fills the last, and leaves out what the filling gives.

    So an image's result does not depend on how many others come with it, and an engine that is
    compiled for one size is never compiled again.

    Args:
        run: Takes exactly `size` images.
        size: Of a batch.
    """

    def run_any(*inputs: np.ndarray) -> np.ndarray:
        count = len(inputs[0])
        if count == size:
            return run(*inputs)
        starts = range(0, max(count, 1), size)
        batches = [
            [_filled(each[start : start + size], size) for each in inputs] for start in starts
        ]
        return np.concatenate([run(*batch) for batch in batches])[:count]

    return run_any


def _filled(images: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(images)
    return np.pad(images, [(0, missing)] + [(0, 0)] * (images.ndim - 1)) if missing else images
