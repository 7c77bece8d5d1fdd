"""What an ensemble is worth: how members differ, what each adds, the gain over the best."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.ensembles.average import ARITHMETIC, check_average, combine
from toolkit.ensembles.members import Members, check_labelled, check_weights
from toolkit.evaluation.metrics import EPSILON

DRAWS = 2000
CHUNK = 2**20
"""Numbers that are drawn at once."""


@dataclass(frozen=True)
class Diversity:
    """How much the members of an ensemble differ, pair by pair.

    Attributes:
        disagreement: Share of images to which two members give different classes: [M, M], 0 to 1.
            Higher is better for an ensemble of members as good as these.
        error_correlation: Of being wrong, as 0 and 1 (Pearson's, phi): [M, M], -1 to 1; NaN where
            a member makes no error, or only errors. Lower is better.
    """

    disagreement: NDArray[np.float64]
    error_correlation: NDArray[np.float64]


def diversity(labels: ArrayLike, members: Members) -> Diversity:
    """Measures how much members differ (Kuncheva and Whitaker, Machine Learning 51, 2003).

    Args:
        labels: True classes, integers [N].
        members: Probabilities of M members, [M, N, K], or M arrays [N, K].

    Raises:
        ValueError: The arguments don't fit each other.
    """
    labels, arrays = check_labelled(labels, members)
    predicted = np.stack([array.argmax(axis=1) for array in arrays])
    wrong = (predicted != labels).astype(np.float64)
    count = len(labels)
    disagreement = np.array([(each != predicted).mean(axis=1) for each in predicted])
    centred = wrong - wrong.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1)
    deviation[deviation == 0] = np.nan
    correlation = centred @ centred.T / count / np.outer(deviation, deviation)
    return Diversity(disagreement, correlation.clip(-1, 1))


@dataclass(frozen=True)
class Without:
    """An ensemble without one of its members.

    Attributes:
        loss: Its log-loss, in nats.
        accuracy: 0 to 1.
        loss_saved: What the member saves: this loss less the whole ensemble's. Above 0: it helps.
        accuracy_gained: What the member adds: the whole ensemble's accuracy less this one.
    """

    loss: float
    accuracy: float
    loss_saved: float
    accuracy_gained: float


def leave_one_out(
    labels: ArrayLike,
    members: Members,
    average: str = ARITHMETIC,
    weights: ArrayLike | None = None,
) -> list[Without]:
    """What each member adds: the ensemble is measured without it, the others' shares as they were.

    Args:
        labels: True classes, integers [N].
        members: Probabilities of M members, at least 2: [M, N, K], or M arrays [N, K].
        average: As in `average_probabilities`.
        weights: As in `average_probabilities`. Where a member has all of it, the others are
            weighted equally without it.

    Returns:
        One for each member, in their order.

    Raises:
        ValueError: The arguments don't fit each other.
    """
    labels, arrays = check_labelled(labels, members)
    if len(arrays) < 2:
        raise ValueError(f"members must be at least 2, to leave one out. Received: {len(arrays)}")
    shares = check_weights(weights, len(arrays))
    check_average(average)
    whole = _losses_and_hits(labels, combine(arrays, average, shares)).mean(axis=1)
    found = []
    for number in range(len(arrays)):
        others = np.delete(shares, number)
        others = check_weights(others if others.any() else None, len(others))
        rest = arrays[:number] + arrays[number + 1 :]
        loss, hits = _losses_and_hits(labels, combine(rest, average, others)).mean(axis=1)
        found.append(
            Without(float(loss), float(hits), float(loss - whole[0]), float(whole[1] - hits))
        )
    return found


@dataclass(frozen=True)
class Gain:
    """What one classifier gains over another on the same images, with its 95 % interval.

    Attributes:
        loss: Log-loss saved, in nats; above 0 is better.
        loss_ci95: Its interval, (low, high).
        accuracy: Share of images more that are right; above 0 is better.
        accuracy_ci95: Its interval, (low, high).
    """

    loss: float
    loss_ci95: tuple[float, float]
    accuracy: float
    accuracy_ci95: tuple[float, float]


def paired_gain(
    labels: ArrayLike,
    probabilities: ArrayLike,
    other: ArrayLike,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Gain:
    """The gain of one classifier over another, with the interval of a paired bootstrap.

    Images are drawn with replacement, and both classifiers measured on each draw (Efron and
    Tibshirani, "An introduction to the bootstrap", 1993; percentile intervals). Pairs leave out
    what is hard or easy for both. Where the interval holds 0, the images show no difference.

    Args:
        labels: True classes, integers [N].
        probabilities: The one classifier's, floats [N, K].
        other: The other's, floats [N, K].
        draws: How often as many images are drawn as there are.
        seed: Of the draws: the same one gives the same interval.

    Raises:
        ValueError: The arguments don't fit each other.

    Example:
        >>> paired_gain(labels, ensemble, best_member).loss_ci95
        (0.01, 0.05)
    """
    labels, [one, another] = check_labelled(labels, [probabilities, other])
    difference = _losses_and_hits(labels, one) - _losses_and_hits(labels, another)
    difference[0] *= -1  # A loss that is lower is a gain.
    means = _resampled_means(difference, draws, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    loss, accuracy = difference.mean(axis=1)
    return Gain(
        loss=float(loss),
        loss_ci95=(float(low[0]), float(high[0])),
        accuracy=float(accuracy),
        accuracy_ci95=(float(low[1]), float(high[1])),
    )


def _resampled_means(
    values: NDArray[np.float64], draws: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Means of [V, N] over images that are drawn with replacement: [V, draws]."""
    count = values.shape[1]
    at_once = max(1, CHUNK // count)
    parts = []
    for start in range(0, draws, at_once):
        rows = random.integers(0, count, (min(at_once, draws - start), count))
        parts.append(np.stack([value[rows].mean(axis=1) for value in values]))
    return np.concatenate(parts, axis=1)


def _losses_and_hits(labels: NDArray[Any], probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """Of each image, the log-loss as `measure` counts it, and whether it is right: [2, N]."""
    of_true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(of_true.clip(EPSILON, 1 - EPSILON))
    return np.stack([losses, probabilities.argmax(axis=1) == labels])
