"""The average of several classifiers' probabilities."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.ensembles.members import Members, check_members, check_weights
from toolkit.evaluation.metrics import EPSILON

ARITHMETIC, GEOMETRIC, MAJORITY = AVERAGES = ("arithmetic", "geometric", "majority")

TIE_SHARE = 1e-3
"""What the mean probability counts for in a majority vote: it decides between equal votes only."""


def average_probabilities(
    members: Members, average: str = ARITHMETIC, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Averages the probabilities that several classifiers give for the same images.

    * `arithmetic` (soft voting): the weighted mean. The usual choice: it is never worse in
      log-loss than the members are on average.
    * `geometric`: the weighted mean of logarithms, normalized again (a logarithmic opinion pool;
      Heskes, "Selecting weighting factors in logarithmic opinion pools", NIPS 1997).
      Probabilities are clipped to at least 1e-7 first, so one member's zero is a strong objection,
      but no veto, and no NaN where the members exclude each other.
    * `majority`: the weighted share of members whose most probable class (the first of equals) it
      is. Among equal shares the class of the higher mean probability comes first: the mean enters
      with 0.001, the votes with 0.999. So weights that differ by less are as good as equal.

    Args:
        members: Probabilities of M members, floats [M, N, K], or M arrays [N, K]; from anywhere,
            with the same images and classes in the same order.
        average: "arithmetic", "geometric" or "majority".
        weights: M numbers, at least 0; only their shares count. By default all are equal.

    Returns:
        Probabilities [N, K]; each row sums to one.

    Raises:
        ValueError: There is no such average; members differ in shape; a row holds NaN, a negative
            value, or does not sum to one; weights are negative, all zero, or of another number.

    Example:
        >>> toolkit.average_probabilities([[[0.9, 0.1]], [[0.5, 0.5]]])
        array([[0.7, 0.3]])
    """
    arrays = check_members(members)
    return combine(arrays, check_average(average), check_weights(weights, len(arrays)))


def check_average(average: str) -> str:
    """Refuses what is no way to average.

    Raises:
        ValueError: It is none.
    """
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(AVERAGES)}. Received: {average!r}")
    return average


def combine(
    members: Sequence[NDArray[Any]], average: str, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """As `average_probabilities`, of arrays [N, K] and weights that are checked already."""
    if average == GEOMETRIC:
        return softmax(_weighted_sum(map(log_probabilities, members), weights))
    mean = _weighted_sum(members, weights)
    mean /= mean.sum(axis=1, keepdims=True)  # Rows of low precision sum to one only roughly.
    if average == ARITHMETIC:
        return mean
    votes = _weighted_sum(map(_votes, members), weights)
    return (1 - TIE_SHARE) * votes + TIE_SHARE * mean


def log_probabilities(probabilities: NDArray[Any], floor: float = EPSILON) -> NDArray[np.float64]:
    """Natural logarithms; smaller probabilities than `floor` are taken for it."""
    return np.log(probabilities.clip(floor), dtype=np.float64)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits [N, K] to probabilities."""
    from scipy.special import softmax as scipys  # here, as it takes longer to import than to use

    return scipys(logits, axis=1)


def _votes(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    return np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]


def _weighted_sum(
    arrays: Iterable[NDArray[Any]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    total: Any = 0.0  # One array after another: M copies need not be in memory at once.
    for weight, array in zip(weights, arrays, strict=True):
        total = total + weight * array.astype(np.float64)
    return total
