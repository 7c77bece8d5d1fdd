"""How far probabilities can be believed, and the one number that makes them more believable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.ensembles.average import log_probabilities, softmax
from toolkit.ensembles.members import check_labelled, check_members
from toolkit.evaluation.metrics import EPSILON

BINS = 15
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are tried. Where every image is right, ever lower ones would do better."""

TINY = float(np.finfo(np.float32).tiny)
"""A floor for what a softmax gives: above it, logarithms are the logits, but for a constant."""


SPREAD = 0.3
"""How far from 1 temperatures are thought to be before any image is seen: deviation of their
logarithm. Two in three are taken to lie between 0.74 and 1.35."""


def fit_temperature(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    floor: float = EPSILON,
    spread: float | None = None,
) -> float:
    """The temperature with which probabilities have the lowest log-loss.

    Guo et al., "On calibration of modern neural networks", ICML 2017.

    Args:
        labels: True classes, integers [N]. Of images on which the model was not trained.
        probabilities: Floats [N, K].
        floor: Smaller probabilities are taken for it, as by `apply_temperature`.
        spread: Temperatures far from 1 need that many more images to be believed: the logarithm is
            taken to be normal around 0 with this deviation (maximum a posteriori). Of few images
            all may be right by chance, and then ever lower temperatures have a lower log-loss; of
            some hundreds, it hardly matters. None: the lowest log-loss, whatever it takes.

    Returns:
        Between 0.05 and 20. Above 1: the model is too sure of itself; below: not sure enough.

    Raises:
        ValueError: The arguments don't fit each other, or a row is no distribution.

    Example:
        >>> temperature = fit_temperature(validation_labels, validation_probabilities)
        >>> apply_temperature(test_probabilities, temperature)
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    labels, [probabilities] = check_labelled(labels, [probabilities])
    logits = log_probabilities(probabilities, floor)
    of_true = logits[np.arange(len(labels)), labels].mean()
    doubt = 0.0 if spread is None else 0.5 / (len(labels) * spread**2)

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        of_images = logsumexp(inverse * logits, axis=1).mean() - inverse * of_true
        return float(of_images + doubt * log_temperature**2)

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def apply_temperature(
    probabilities: ArrayLike, temperature: float, *, floor: float = EPSILON
) -> NDArray[np.float64]:
    """Probabilities as they are at a temperature: softmax(log(p) / temperature).

    No image changes its most probable class.

    Args:
        probabilities: Floats [N, K].
        temperature: Above 0; 1 changes nothing.
        floor: Smaller probabilities are taken for it.

    Returns:
        Probabilities [N, K].

    Raises:
        ValueError: A row is no distribution, or the temperature is not above 0.
    """
    [probabilities] = check_members([probabilities])
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be a number above 0. Received: {temperature}")
    return softmax(log_probabilities(probabilities, floor) / temperature)


@dataclass(frozen=True)
class Reliability:
    """Images by how sure the model is of them, in B bins of equal width.

    Attributes:
        edges: Of the bins, from 0 to 1: [B + 1]. A bin holds its upper edge.
        counts: Images in each bin: int [B].
        confidence: Mean probability of the predicted class, NaN in an empty bin: [B].
        accuracy: Share of right predictions, NaN in an empty bin: [B].
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.nansum(self.counts * gaps) / self.counts.sum())


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> Reliability:
    """Compares how sure a model is with how often it is right, as a reliability diagram does.

    Args:
        labels: True classes, integers [N].
        probabilities: Floats [N, K].
        bins: Of equal width, of the predicted class' probability.

    Raises:
        ValueError: The arguments don't fit each other, or a row is no distribution.
    """
    labels, [probabilities] = check_labelled(labels, [probabilities])
    sure = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(places, sure, bins) / counts
        accuracy = np.bincount(places, right, bins) / counts
    return Reliability(edges, counts, confidence, accuracy)


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS
) -> float:
    """How far, on average, being sure and being right are apart.

    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015: the
    mean over bins of |accuracy - confidence|, weighted by their images. Few images, or many bins,
    make it larger by chance.

    Args:
        labels: True classes, integers [N].
        probabilities: Floats [N, K].
        bins: Of equal width.

    Returns:
        0 to 1; lower is better.

    Example:
        >>> expected_calibration_error([0, 1], [[0.8, 0.2], [0.2, 0.8]])
        0.2
    """
    return reliability(labels, probabilities, bins).error


def brier_score(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The mean squared distance of probabilities from what was true, summed over the classes.

    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review
    78, 1950. For two classes this is twice the figure that counts one of them only.

    Args:
        labels: True classes, integers [N].
        probabilities: Floats [N, K].

    Returns:
        0 to 2; lower is better.

    Raises:
        ValueError: The arguments don't fit each other, or a row is no distribution.

    Example:
        >>> brier_score([0], [[0.8, 0.2]])
        0.08
    """
    labels, [probabilities] = check_labelled(labels, [probabilities])
    squares = np.square(probabilities, dtype=np.float64).sum(axis=1)
    of_true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float((squares - 2 * of_true + 1).mean())
