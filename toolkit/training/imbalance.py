"""What is done where some classes have many more training images than others."""

from typing import NamedTuple

import numpy as np

from toolkit.choices import check_choice

NONE, AUTO, LOGITS, CLASS_WEIGHTS, RESAMPLE = IMBALANCE = (
    "none",
    "auto",
    "logit-adjustment",
    "class-weights",
    "resample",
)

EVEN = 1.5
"""Up to this ratio of the largest class to the smallest, `auto` leaves them as they are."""


def check_imbalance(name: str) -> None:
    """Refuses what is no way of treating imbalance.

    Raises:
        OptionError: It is none.
    """
    check_choice("--imbalance", name, IMBALANCE)


class Treatment(NamedTuple):
    """What is done about imbalance: one of `IMBALANCE` but "auto"; and why, or ""."""

    name: str
    why: str


def choose_imbalance(name: str, labels: np.ndarray) -> Treatment:
    """What a name stands for, and why.

    Args:
        name: One of `IMBALANCE`.
        labels: Of the training split: int [N].

    Returns:
        It; the reason is "" where the name says it already.

    Example:
        >>> choose_imbalance("auto", np.array([0, 0, 0, 1])).name
        'logit-adjustment'
    """
    if name != AUTO:
        return Treatment(name, "")
    counts = np.unique(labels, return_counts=True)[1]
    ratio = counts.max() / counts.min()
    why = f"the largest class has {ratio:.1f} times as many training images as the smallest"
    return Treatment(NONE if ratio <= EVEN else LOGITS, why)


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights with which all classes count the same: N / (K x n_k), which is 1 on average.

    Args:
        labels: Of the training split: int [N], each of 0 to K - 1 at least once.
        classes: K.

    Returns:
        float32 [K].

    See King and Zeng, "Logistic Regression in Rare Events Data", 2001.

    Example:
        >>> class_weights(np.array([0, 0, 0, 1]), 2)
        array([0.6666667, 2.       ], dtype=float32)
    """
    from sklearn.utils.class_weight import compute_class_weight  # Only now: it takes a second.

    weights = compute_class_weight("balanced", classes=np.arange(classes), y=labels)
    return weights.astype(np.float32)


def loss_weights(name: str, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """How much an image of each class counts in fine-tuning's loss.

    Args:
        name: One of `IMBALANCE`.
        labels: Of the training split: int [N].
        classes: K.

    Returns:
        float32 [K]; None: all count the same.
    """
    chosen, _ = choose_imbalance(name, labels)
    return class_weights(labels, classes) if chosen == CLASS_WEIGHTS else None


def probe_weights(name: str, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """As `loss_weights`, for the probe: weights are what endless resampling comes to."""
    chosen, _ = choose_imbalance(name, labels)
    return class_weights(labels, classes) if chosen in (CLASS_WEIGHTS, RESAMPLE) else None


def log_priors(name: str, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """What logits are lowered by after training, but for a factor: how frequent classes are.

    Args:
        name: One of `IMBALANCE`.
        labels: Of the training split: int [N], each of 0 to K - 1 at least once.
        classes: K.

    Returns:
        Logarithms of the classes' shares, less their mean: float32 [K]; None: logits stay.

    Example:
        >>> log_priors("logit-adjustment", np.array([0, 0, 0, 1]), 2)
        array([ 0.5493061, -0.5493061], dtype=float32)
    """
    if choose_imbalance(name, labels).name != LOGITS:
        return None
    logarithms = np.log(np.bincount(labels, minlength=classes) / len(labels))
    return (logarithms - logarithms.mean()).astype(np.float32)
