"""Weights of an ensemble's members, found on validation predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.ensembles.average import (
    ARITHMETIC,
    GEOMETRIC,
    check_average,
    combine,
    log_probabilities,
    softmax,
)
from toolkit.ensembles.members import Members, check_labelled
from toolkit.evaluation.metrics import EPSILON

ROUNDS = 100
"""Of greedy selection: weights are then multiples of a hundredth or so, or larger steps."""

LEAST_GAIN = 1e-9
"""Log-loss that a larger selection must save."""

Objective = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""From weights [M] to the mean log-loss and its gradient [M]."""


def convex_weights(
    labels: ArrayLike, members: Members, average: str = ARITHMETIC
) -> NDArray[np.float64]:
    """The weights, at least 0 and summing to one, with the lowest log-loss.

    The log-loss of an arithmetic mean, -mean(log(sum_m w_m p_m)), is convex in the weights, and so
    is that of a normalized geometric mean: what SLSQP finds from equal weights is the minimum
    itself. Probabilities are clipped to at least 1e-7.

    Args:
        labels: True classes, integers [N]. Of images on which no member was trained.
        members: Probabilities of M members, [M, N, K], or M arrays [N, K].
        average: "arithmetic" or "geometric": what the weights are for. Shares of votes have no
            useful log-loss.

    Returns:
        Weights [M].

    Raises:
        ValueError: The arguments don't fit each other, or the average is another.

    Example:
        >>> convex_weights(labels, [a, b])
        array([0.8, 0.2])
    """
    from scipy.optimize import LinearConstraint, minimize

    labels, arrays = check_labelled(labels, members)
    objective = _objective(labels, arrays, check_average(average))
    count = len(arrays)
    found = minimize(
        objective,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=LinearConstraint(np.ones([1, count]), 1, 1),
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weights = found.x.clip(0)
    weights[weights < 1e-6] = 0  # The solver stops a little inside of the bound.
    return weights / weights.sum()


def greedy_weights(
    labels: ArrayLike, members: Members, average: str = ARITHMETIC, rounds: int = ROUNDS
) -> NDArray[np.float64]:
    """Weights by greedy selection with replacement, for the lowest log-loss.

    Caruana et al., "Ensemble selection from libraries of models", ICML 2004: members are sorted by
    their own loss, and the best few, as many as do best together, are the start. In each round the
    member is added, perhaps once more, with which the average has the lowest loss; the best
    selection of all rounds is taken. A member's weight is the share of times that it was chosen;
    most of many get none.

    Args:
        labels: True classes, integers [N]. Of images on which no member was trained.
        members: Probabilities of M members, [M, N, K], or M arrays [N, K].
        average: "arithmetic", "geometric" or "majority": what the weights are for.
        rounds: How often a member is added.

    Returns:
        Weights [M] that sum to one.

    Raises:
        ValueError: The arguments don't fit each other.

    Example:
        >>> greedy_weights(labels, [a, b, c])
        array([0.6, 0.4, 0. ])
    """
    labels, arrays = check_labelled(labels, members)
    loss = _loss(labels, arrays, check_average(average))
    one_more = np.eye(len(arrays))
    counts, lowest = _best_few(loss, one_more)
    best = counts
    # A round that does harm is no end: an addition moves a larger selection less.
    for _ in range(rounds):
        losses = [loss(_shares(counts + added)) for added in one_more]
        counts = counts + one_more[int(np.argmin(losses))]
        if min(losses) < lowest - LEAST_GAIN:
            best, lowest = counts, min(losses)
    return _shares(best)


def _best_few(
    loss: Callable[[NDArray[np.float64]], float], one_more: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """How often each member is in the start, [M], and the start's loss."""
    order = np.argsort([loss(alone) for alone in one_more], kind="stable")
    starts = np.cumsum(one_more[order], axis=0)
    losses = [loss(_shares(start)) for start in starts]
    best = int(np.argmin(losses))
    return starts[best], losses[best]


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts / counts.sum()


def _loss(
    labels: NDArray[Any], members: list[NDArray[Any]], average: str
) -> Callable[[NDArray[np.float64]], float]:
    """The mean log-loss as a function of the weights [M]."""
    if average == ARITHMETIC:
        objective = _arithmetic(labels, members)
        return lambda weights: objective(weights)[0]
    rows = np.arange(len(labels))

    def loss(weights: NDArray[np.float64]) -> float:
        of_true = combine(members, average, weights)[rows, labels]
        return float(-np.log(of_true.clip(EPSILON)).mean())

    return loss


def _objective(labels: NDArray[Any], members: list[NDArray[Any]], average: str) -> Objective:
    if average not in (ARITHMETIC, GEOMETRIC):
        raise ValueError(
            f"convex weights are for {ARITHMETIC} and {GEOMETRIC} averages. Received: {average!r}"
        )
    return (_arithmetic if average == ARITHMETIC else _geometric)(labels, members)


def _arithmetic(labels: NDArray[Any], members: list[NDArray[Any]]) -> Objective:
    # Of each member, only what it gives the true class matters: [M, N].
    rows = np.arange(len(labels))
    of_true = np.stack([member[rows, labels] for member in members]).clip(EPSILON)
    of_true = of_true.astype(np.float64)

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mean = weights @ of_true
        return float(-np.log(mean).mean()), -(of_true / mean).mean(axis=1)

    return objective


def _geometric(labels: NDArray[Any], members: list[NDArray[Any]]) -> Objective:
    from scipy.special import logsumexp

    logs = np.stack([log_probabilities(member) for member in members])  # [M, N, K]
    of_true = logs[:, np.arange(len(labels)), labels].mean(axis=1)

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        pooled = np.tensordot(weights, logs, 1)
        loss = logsumexp(pooled, axis=1).mean() - weights @ of_true
        expected = (softmax(pooled) * logs).sum(axis=2).mean(axis=1)
        return float(loss), expected - of_true

    return objective
