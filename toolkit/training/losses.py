"""What is minimized: cross-entropy or focal loss, with smoothed labels or without.

Validation always measures plain cross-entropy, so that all runs, and the probe, can be compared.
"""

from collections.abc import Callable
from typing import Any

from toolkit.choices import check_choice

CROSS_ENTROPY, FOCAL = LOSSES = ("cross-entropy", "focal")

GAMMA = 2.0
"""Of the focal loss: the value that its paper found best."""


def check_loss(name: str) -> None:
    """Refuses what is no loss.

    Raises:
        OptionError: It is none.
    """
    check_choice("--loss", name, LOSSES)


def make_loss(name: str, label_smoothing: float) -> Callable[[Any, Any], Any]:
    """Makes the function that gives the loss of each image.

    Args:
        name: One of `LOSSES`.
        label_smoothing: Share of each label that is spread evenly over all classes, 0 to 1.

    Returns:
        A function of labels (int [B], or shares of classes [B, K]) and logits [B, K]: floats [B],
        in nats. The focal loss of probabilities p and shares t is -sum t (1 - p)^2 log p; classes
        are not weighted in it.

    See Lin et al. 2017, "Focal Loss for Dense Object Detection", and Szegedy et al. 2016,
    "Rethinking the Inception Architecture for Computer Vision", 7.
    """
    from keras import ops  # Only now: options are checked without Keras.

    def loss(labels: Any, logits: Any) -> Any:
        classes = logits.shape[-1]
        # Keras may give numbers a second axis, of length 1.
        shares = labels if labels.shape[1:] == (classes,) else _one_hot(labels, classes)
        shares = ops.cast(shares, logits.dtype) * (1 - label_smoothing) + label_smoothing / classes
        # From logits: Keras' own focal loss cuts probabilities off, and learns nothing below.
        log_probabilities = ops.log_softmax(logits)
        if name == FOCAL:
            shares = shares * ops.power(1 - ops.exp(log_probabilities), GAMMA)
        return -ops.sum(shares * log_probabilities, axis=-1)

    def _one_hot(labels: Any, classes: int) -> Any:
        return ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), classes)

    return loss
