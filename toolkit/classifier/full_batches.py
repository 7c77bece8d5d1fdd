"""Runs a network on batches of one size, whatever the number of images."""

from collections.abc import Callable

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]
"""float32 [N, ...] to a float32 array of N rows."""


def in_full_batches(run: Run, size: int) -> Run:
    """Fills batches up to a size, and leaves out what the filling gives.

    So an image's result does not depend on how many others come with it, and an engine that is
    compiled for one size is never compiled again.

    Args:
        run: Takes exactly `size` images.
        size: The most that the returned function takes.
    """

    def run_any(images: np.ndarray) -> np.ndarray:
        missing = size - len(images)
        if not missing:
            return run(images)
        return run(np.pad(images, [(0, missing)] + [(0, 0)] * (images.ndim - 1)))[: len(images)]

    return run_any
