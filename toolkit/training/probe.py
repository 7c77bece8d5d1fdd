"""The probe: multinomial logistic regression on frozen features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""L2 strengths that are tried: the penalty is strength / 2 x the sum of squared weights."""

_CHUNK = 8192

_CONSTANT = 1e-12
"""A column's variance up to this is that of rounding."""

MANY = 4 * _CHUNK
"""Below so many rows, the product of a tall and a narrow matrix is faster in one thread."""


@dataclass(frozen=True)
class Probe:
    """A linear classifier on features.

    Attributes:
        kernel: float32 [D, K].
        bias: float32 [K].
        strength: Of the L2 penalty that did best on the validation split.
        losses: Validation cross-entropy (nats) of each strength that was tried, weighted as the
            training was.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    losses: dict[float, float]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float32 [N, K] for features [N, D]."""
        return softmax(features @ self.kernel + self.bias, axis=1).astype(np.float32)

    def lowered(self, by: np.ndarray | float) -> Self:
        """The same with logits that are lower by so much: float32 [K], or all by a number."""
        return replace(self, bias=self.bias - by)

    def scaled(self, factor: float) -> Self:
        """The same with logits that are multiplied by a factor."""
        return replace(self, kernel=self.kernel * factor, bias=self.bias * factor)


def fit_probe(
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
    class_weights: np.ndarray | None = None,
) -> Probe:
    """Fits a probe for each L2 strength and takes the one with the lowest validation loss.

    Features are standardized (`feature_moments`); mean and deviation end up in the returned
    weights. (These need no class weights: any scale of about 1 does.) The sums run over
    chunks of rows, so that memory does not grow with them.

    Args:
        features: float32 [N, D]; may be mapped from disk.
        labels: int [N], 0 to K - 1.
        validation_features: float32 [M, D].
        validation_labels: int [M].
        classes: K.
        strengths: L2 strengths to try; each starts from the solution of the next stronger.
        class_weights: float32 [K]: how much an image of each class counts in the loss, 1 on average
            over the training split; by default all count the same.

    See Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 4.4; the solver is
    L-BFGS (Liu and Nocedal 1989).
    """
    mean, deviation = feature_moments(features)
    weights = _row_weights(class_weights, labels)
    parameters = np.zeros((features.shape[1] + 1) * classes)
    fitted, losses = {}, {}
    # Validation is weighted, too: a strength is to be judged by what was minimized. A balanced
    # probe takes all classes to be equally frequent, and would be blamed for that otherwise.
    judged = _row_weights(class_weights, validation_labels)
    for strength in sorted(strengths, reverse=True):
        with threadpool_limits(1 if len(features) < MANY else None, "blas"):
            result = minimize(
                _loss_and_gradient,
                parameters,
                args=(features, labels, weights, mean, deviation, strength),
                method="L-BFGS-B",
                jac=True,
                options={"maxiter": 200, "ftol": 1e-7, "gtol": 1e-5},
            )
        parameters = result.x
        fitted[strength] = _unstandardized(parameters, mean, deviation, classes)
        losses[strength] = _cross_entropy(
            *fitted[strength], validation_features, validation_labels, judged
        )
    best = min(losses, key=lambda strength: losses[strength])
    return Probe(*fitted[best], strength=best, losses=losses)


def _row_weights(class_weights: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    """The weight of each row's class: float32 [N]."""
    if class_weights is None:
        return np.ones(len(labels), np.float32)
    return np.asarray(class_weights, np.float32)[labels]


def feature_moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, float32 [D] each, to standardize features with.

    To each column's variance, the mean variance of all that vary is added, as BatchNorm adds its
    epsilon. Otherwise a column that hardly varies in the training split would be the loudest where
    it does: of few photos, others lie up to 2,000 deviations away.
    """
    total = np.zeros(features.shape[1])
    for chunk in _chunks(features):
        total += chunk.sum(0, dtype=np.float64)
    mean = total / len(features)
    squares = sum(np.square(chunk - mean).sum(0) for chunk in _chunks(features))
    variance = squares / len(features)
    varying = variance[variance > _CONSTANT]
    deviation = np.sqrt(variance + (varying.mean() if len(varying) else 1.0))
    return mean.astype(np.float32), deviation.astype(np.float32)


def _chunks(features: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(features), _CHUNK):
        yield np.asarray(features[start : start + _CHUNK], np.float32)


def _loss_and_gradient(
    parameters: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    row_weights: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    strength: float,
) -> tuple[float, np.ndarray]:
    """Mean weighted cross-entropy plus penalty (the bias is spared), and its gradient."""
    weights = parameters.reshape(features.shape[1] + 1, -1)
    kernel, bias = _unstandardized(parameters, mean, deviation, weights.shape[1])
    loss, products, sums = 0.0, np.zeros_like(weights[:-1]), np.zeros_like(weights[-1])
    for start, chunk in zip(range(0, len(features), _CHUNK), _chunks(features), strict=True):
        targets, counts = labels[start : start + _CHUNK], row_weights[start : start + _CHUNK]
        rows = np.arange(len(targets))
        log_probabilities = log_softmax(chunk @ kernel + bias, axis=1)
        loss -= (counts * log_probabilities[rows, targets]).sum(dtype=np.float64)
        error = np.exp(log_probabilities)
        error[rows, targets] -= 1
        error *= counts[:, None]
        products += chunk.T @ error
        sums += error.sum(0)
    # The gradient for standardized features, without ever making them.
    gradient = (products - np.outer(mean, sums)) / deviation[:, None] / len(features)
    gradient += strength * weights[:-1]
    penalty = strength / 2 * np.square(weights[:-1]).sum()
    return loss / len(features) + penalty, np.vstack([gradient, sums / len(features)]).ravel()


def _unstandardized(
    parameters: np.ndarray, mean: np.ndarray, deviation: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias for features as they are: the standardization folded in."""
    weights = parameters.reshape(-1, classes)
    kernel = weights[:-1] / deviation[:, None]
    bias = weights[-1] - mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def _cross_entropy(
    kernel: np.ndarray,
    bias: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    row_weights: np.ndarray,
) -> float:
    log_probabilities = log_softmax(features @ kernel + bias, axis=1)
    losses = -log_probabilities[np.arange(len(labels)), labels]
    return float(np.average(losses, weights=row_weights))
