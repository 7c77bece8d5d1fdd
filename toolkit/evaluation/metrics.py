"""The numbers that say how good a classifier is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPSILON = 1e-7  # Keras' clipping of probabilities in its cross-entropy
SUM_TOLERANCE = 1e-3  # wide enough for probabilities computed in bfloat16 and summed here


def measure(
    labels: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    reject_below: float = 0.0,
) -> dict[str, Any]:
    """Measures predictions against the true labels.

    * `accuracy` = k / n, k images whose most probable class (the first of equals) is the true one.
    * `accuracy_ci95`: Wilson's score interval (Wilson, "Probable inference, the law of succession,
      and statistical inference", JASA 22, 1927): with p = k / n and z = 1.96,
      (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n). Unlike p ± z √(p(1-p)/n) it stays
      within [0, 1] and keeps a width at p = 0 and p = 1.
    * `loss` = -mean(log(p of the true class)), in nats, p clipped to [1e-7, 1 - 1e-7] as in Keras.
    * `precision` = TP / (TP + FP), `recall` = TP / (TP + FN), `f1` = 2 TP / (2 TP + FP + FN) for
      each class; 0 where the denominator is 0 (scikit-learn's `zero_division=0`).
    * `macro_f1`: the plain mean of `f1` over the classes that occur among the labels or the
      predictions. A class that occurs in neither says nothing about the classifier.
    * `selective`, where a threshold is given: see `measure_answered`. All else counts each image,
      answered or not.

    Args:
        labels: True classes, integers in [0, K), shape [N], N at least 1.
        probabilities: Predicted probabilities, floats, shape [N, K]; each row sums to one.
        classes: The K class names, all different, in the order of the columns.
        reject_below: Of the highest probability; where it is lower, there is no answer. 0: never.

    Returns:
        `n`, `accuracy`, `accuracy_ci95` ([low, high]), `loss`, `macro_f1`, and `per_class`: for
        each name `precision`, `recall`, `f1` and `support` (the number of its images). Only
        Python's own numbers, so that `json.dumps` takes it. All but `loss`, `n` and `support`
        lie in [0, 1]; higher is better, for `loss` lower.

    Raises:
        ValueError: If the arguments don't fit each other, or a row is no distribution.

    Example:
        >>> measure([0, 1], [[0.9, 0.1], [0.6, 0.4]], ["cat", "dog"])["accuracy"]
        0.5
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    _check(labels, probabilities, classes)
    predicted = probabilities.argmax(axis=1)
    n, correct = len(labels), int(np.count_nonzero(predicted == labels))
    per_class = _per_class(labels, predicted, classes)
    occurring = np.union1d(labels, predicted)
    measured: dict[str, Any] = {
        "n": n,
        "accuracy": correct / n,
        "accuracy_ci95": _wilson(correct, n),
        "loss": _cross_entropy(labels, probabilities),
        "macro_f1": float(np.mean([per_class[classes[i]]["f1"] for i in occurring])),
        "per_class": per_class,
    }
    if reject_below:
        measured["selective"] = measure_answered(labels, probabilities, reject_below)
    return measured


def rejects(probabilities: NDArray[Any], reject_below: float) -> NDArray[np.bool_]:
    """Whether the highest of probabilities [N, K] is below a threshold, in float32: bool [N]."""
    return probabilities.max(axis=-1) < np.float32(reject_below)


def measure_answered(
    labels: NDArray[Any], probabilities: NDArray[Any], reject_below: float
) -> dict[str, Any]:
    """Measures a classifier that gives no answer where it is not sure enough.

    See El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 11,
    2010; rejected is what has a low highest probability (Chow, "On optimum recognition error and
    reject tradeoff", 1970).

    Args:
        labels: True classes, integers [N].
        probabilities: Floats [N, K].
        reject_below: Of the highest probability, 0 to 1.

    Returns:
        `reject_below`; `answered`, of the N images; `coverage`, their share; `accuracy` of the
        answered ones (None where there is none); and with both their 95 % intervals as in
        `measure`: `coverage_ci95` and `accuracy_ci95`.

    Example:
        >>> found = measure_answered(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), 0.8)
        >>> found["coverage"], found["accuracy"]
        (0.5, 1.0)
    """
    answered = ~rejects(probabilities, reject_below)
    right = answered & (probabilities.argmax(axis=1) == labels)
    n, count, correct = len(labels), int(answered.sum()), int(right.sum())
    return {
        "reject_below": reject_below,
        "answered": count,
        "coverage": count / n,
        "coverage_ci95": _wilson(count, n),
        "accuracy": correct / count if count else None,
        "accuracy_ci95": _wilson(correct, count) if count else None,
    }


def _wilson(correct: int, n: int) -> list[float]:
    from scipy.stats import binomtest  # here, as it takes longer to import than to use

    interval = binomtest(correct, n).proportion_ci(confidence_level=0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def _cross_entropy(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    # The true class's column alone, before the cast: a copy of N numbers, not of N x K.
    of_true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(of_true.clip(EPSILON, 1 - EPSILON)).mean())


def _per_class(
    labels: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str]
) -> dict[str, dict[str, float | int]]:
    from sklearn.metrics import precision_recall_fscore_support

    scores = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), average=None, zero_division=0
    )
    columns = zip(*(score.tolist() for score in scores), strict=True)
    return {
        name: {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}
        for name, (precision, recall, f1, support) in zip(classes, columns, strict=True)
    }


def _check(labels: NDArray[Any], probabilities: NDArray[Any], classes: Sequence[str]) -> None:
    expected = (len(labels) if labels.ndim == 1 else -1, len(classes))
    if probabilities.shape != expected or 0 in expected:
        raise ValueError(
            "labels must have shape [N] and probabilities [N, K] for K classes, N and K at least "
            f"1. Received: labels {labels.shape}, probabilities {probabilities.shape}, "
            f"{len(classes)} classes"
        )
    if len(set(classes)) != len(classes):
        raise ValueError(f"classes must be all different. Received: {list(classes)}")
    check_labels(labels, len(classes))
    check_distributions(probabilities)


def check_labels(labels: NDArray[Any], k: int) -> None:
    """Refuses with a `ValueError` what are not true classes, integers in [0, k)."""
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers. Received: dtype {labels.dtype}")
    if labels.min() < 0 or labels.max() >= k:
        raise ValueError(f"labels must lie in [0, {k}). Received: {labels.min()} to {labels.max()}")


def check_distributions(probabilities: NDArray[Any]) -> None:
    """Refuses with a `ValueError` rows that are no distributions: [N, K], N and K at least 1."""
    if probabilities.dtype.kind != "f":
        raise ValueError(f"probabilities must be floats. Received: dtype {probabilities.dtype}")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    wrong = ~(np.abs(sums - 1) <= SUM_TOLERANCE)  # so written, NaN is wrong too
    wrong |= probabilities.min(axis=1) < 0
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            "each row of probabilities must be at least 0, without NaN, and sum to 1 within "
            f"{SUM_TOLERANCE}. Received: {int(wrong.sum())} other rows, the first is row {row} "
            f"with sum {sums[row]:.6g} and minimum {probabilities[row].min():.6g}"
        )
