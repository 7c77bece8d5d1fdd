"""How far logits are to be lowered by how frequent classes were in training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.ensembles.average import log_probabilities, softmax
from toolkit.ensembles.calibration import HIGHEST, LOWEST, SPREAD, TINY
from toolkit.ensembles.members import check_labelled

EXPECTED, DOUBT = 1.0, 0.5
"""How many times its logarithm a class's share is thought to be in calibrated logits, before any
image is seen: once (Menon et al. 2021), with this deviation."""

MOST = 4.0
"""No factor above it is tried."""

ERRORS = 2.0
"""So many standard errors a gain must be to be sure."""


@dataclass(frozen=True)
class Adjustment:
    """What logits are to be lowered by, and what that is worth.

    Attributes:
        lowered: Of each class, in the logits as they are: float32 [K].
        gain: By how much the mean loss of validation's images is lower then, in nats, where every
            class counts the same, each way at its best temperature.
        error: Its standard error.
    """

    lowered: np.ndarray
    gain: float
    error: float

    @property
    def is_sure(self) -> bool:
        """Whether the gain is more than chance: at least twice its standard error."""
        return self.gain > ERRORS * self.error

    def record(self) -> dict[str, float]:
        """For `run.json`."""
        return {"gain": self.gain, "standard_error": self.error}

    def __str__(self) -> str:
        change = "lower" if self.gain > 0 else "higher"
        return (
            f"validation's loss, each class counted the same, is {abs(self.gain):.2g} {change} "
            f"with adjusted logits (standard error {self.error:.2g})"
        )


def fit_adjustment(
    labels: ArrayLike, probabilities: ArrayLike, log_priors: ArrayLike
) -> Adjustment:
    """What a classifier's logits are to be lowered by to take all classes to be equally frequent.

    In theory by the logarithms of the classes' shares in training (Menon et al. 2021, "Long-tail
    Learning via Logit Adjustment", 4.1), if the logits are as sure as they are right. Those of a
    network that gets all its training images right are about twice too sure, and how far they took
    the shares in is another thing for each network. So both are fitted: the temperature, and how
    many times the logarithms are in the logits that it calibrates. They have the lowest loss of the
    images that are given, each class counted the same, and what is expected beforehand counts as
    much as it is sure (maximum a posteriori): with few images the theory decides, with many the
    images.

    Args:
        labels: True classes, integers [N]. Of images on which the model was not trained.
        probabilities: Floats [N, K], as the model gives them.
        log_priors: Logarithms of the shares of classes in training: floats [K].

    Returns:
        It, for the logits as they are: undivided.

    Raises:
        ValueError: The arguments don't fit each other, or a row is no distribution.

    Example:
        >>> adjustment = fit_adjustment(labels, model.predict(images), np.log([0.9, 0.1]))
        >>> adjustment.lowered.shape
        (2,)
    """
    labels, [probabilities] = check_labelled(labels, [probabilities])
    logits, priors = log_probabilities(probabilities, TINY), np.asarray(log_priors, float)
    fitted = _Fit(labels, logits, priors, _even_weights(labels))
    inverse, factor = fitted.best(factors=(0.0, MOST))
    unadjusted, _ = fitted.best(factors=(0.0, 0.0))
    gains = fitted.losses(unadjusted, 0.0) - fitted.losses(inverse, factor)
    gain = float(fitted.weights @ gains)
    error = float(np.sqrt(fitted.weights**2 @ (gains - gain) ** 2))
    return Adjustment((factor / inverse * priors).astype(np.float32), gain, error)


def _even_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of images, 1 in all, with which every class that there is counts the same."""
    counts = np.bincount(labels)
    return 1 / counts[labels] / np.count_nonzero(counts)


@dataclass(frozen=True)
class _Fit:
    """Logits [N, K], times an inverse temperature, less a factor times what is known of classes."""

    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    priors: NDArray[np.float64]
    weights: NDArray[np.float64]

    def best(self, factors: tuple[float, float]) -> tuple[float, float]:
        """The inverse temperature and the factor, between two, that are most probable."""
        from scipy.optimize import minimize

        start = np.array([0.0, np.clip(EXPECTED, *factors)])
        bounds = [(-np.log(HIGHEST), -np.log(LOWEST)), factors]
        found = minimize(self._objective, start, jac=True, bounds=bounds, method="L-BFGS-B")
        return float(np.exp(found.x[0])), float(found.x[1])

    def losses(self, inverse: float, factor: float) -> NDArray[np.float64]:
        """Of each image, in nats: [N]."""
        from scipy.special import logsumexp

        logits = inverse * self.logits - factor * self.priors
        return logsumexp(logits, axis=1) - logits[np.arange(len(logits)), self.labels]

    def _objective(self, at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """What is to be as low as possible, and its slope, at (log inverse temperature, factor)."""
        inverse, factor = np.exp(at[0]), at[1]
        images = 1 / (self.weights**2).sum()  # As many even ones would tell as much (Kish 1965).
        doubts = np.array([at[0] / SPREAD, (factor - EXPECTED) / DOUBT])
        loss = self.weights @ self.losses(inverse, factor) + (doubts @ doubts) / (2 * images)
        surplus = softmax(inverse * self.logits - factor * self.priors)
        surplus[np.arange(len(surplus)), self.labels] -= 1
        of_inverse = self.weights @ (surplus * self.logits).sum(axis=1)
        of_factor = -self.weights @ surplus @ self.priors
        slope = np.array([of_inverse * inverse, of_factor])
        return float(loss), slope + doubts / np.array([SPREAD, DOUBT]) / images
