"""How much the images of each class count in training."""

import numpy as np

from toolkit.errors import OptionError

NONE, BALANCED = CLASS_WEIGHTS = ("none", "balanced")


def check_class_weights(name: str) -> None:
    """Refuses what is no way of weighting classes.

    Raises:
        OptionError: It is none.
    """
    if name not in CLASS_WEIGHTS:
        raise OptionError("--class-weights", f"one of {', '.join(CLASS_WEIGHTS)}", name)


def class_weights(name: str, labels: np.ndarray, classes: int) -> np.ndarray | None:
    """Weights with which all classes count the same: N / (K x n_k), which is 1 on average.

    Args:
        name: "balanced"; or "none": every image counts the same.
        labels: Of the training split: int [N], each of 0 to K - 1 at least once.
        classes: K.

    Returns:
        float32 [K], or None for "none".

    See King and Zeng, "Logistic Regression in Rare Events Data", 2001.

    Example:
        >>> class_weights("balanced", np.array([0, 0, 0, 1]), 2)
        array([0.6666667, 2.       ], dtype=float32)
    """
    if name == NONE:
        return None
    from sklearn.utils.class_weight import compute_class_weight  # Only now: it takes a second.

    weights = compute_class_weight(name, classes=np.arange(classes), y=labels)
    return weights.astype(np.float32)
