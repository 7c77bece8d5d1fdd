"""What every function of an ensemble asks of its members' probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.evaluation.metrics import check_distributions, check_labels

Members = ArrayLike | Sequence[ArrayLike]
"""Probabilities of M members for the same N images: [M, N, K], or M arrays [N, K]."""


def check_members(members: Members) -> list[NDArray[Any]]:
    """The members' probabilities as M arrays [N, K], M at least 1.

    Raises:
        ValueError: They differ in shape, or a row of one is no distribution.
    """
    arrays = [np.asarray(member) for member in members]  # type: ignore[union-attr]
    shapes = [array.shape for array in arrays]
    if not arrays or any(shape != shapes[0] for shape in shapes) or arrays[0].ndim != 2:
        raise ValueError(
            "members must be at least one array of probabilities [N, K], all of one shape, for the "
            f"same images and classes. Received: {shapes}"
        )
    if 0 in shapes[0]:
        raise ValueError(f"members need at least one image and one class. Received: {shapes}")
    for number, array in enumerate(arrays):
        try:
            check_distributions(array)
        except ValueError as error:
            raise ValueError(f"member {number} (from 0): {error}") from error
    return arrays


def check_labelled(labels: ArrayLike, members: Members) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The true classes, integers [N], and the members' probabilities, M arrays [N, K].

    Raises:
        ValueError: They don't fit each other, or one is not what it should be.
    """
    labels, arrays = np.asarray(labels), check_members(members)
    if labels.shape != arrays[0].shape[:1]:
        raise ValueError(
            "labels must have shape [N] for members [N, K]. "
            f"Received: labels {labels.shape}, members {arrays[0].shape}"
        )
    check_labels(labels, arrays[0].shape[1])
    return labels, arrays


def check_weights(weights: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """Weights of `count` members that sum to one; None are equal ones.

    Raises:
        ValueError: One is negative or no number, all are zero, or they are too few or too many.
    """
    if weights is None:
        return np.full(count, 1 / count)
    given = np.asarray(weights, np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or (given < 0).any():
        raise ValueError(
            f"weights must be one number for each of the {count} members, at least 0. "
            f"Received: {weights}"
        )
    if not given.any():
        raise ValueError(f"weights must not all be 0. Received: {weights}")
    return given / given.sum()
