"""Validation's loss as it would be if the network were as sure as it is right.

With few or uneven classes a network that gets better at telling images apart becomes too sure at
the same time, and its loss rises: the epoch with the lowest loss is then an early, unsure one. What
the loss is after the best temperature tells the better network.
"""

from typing import Any

import keras
from keras import ops

from toolkit.training.losses import CROSS_ENTROPY, make_loss
from toolkit.training.monitor import CALIBRATED, figure

NAME = figure(CALIBRATED)

TEMPERATURES = tuple(2 ** (k / 4) for k in range(-4, 17))
"""From 1/2 to 16. Between two of them, the lowest loss is hardly lower."""


class CalibratedLoss(keras.metrics.Metric):
    """The cross-entropy of logits that are divided by one temperature: the lowest, over all images.

    See Berta et al. 2025, "Rethinking Early Stopping: Refine, Then Calibrate", whose refinement
    error this is. The temperature is one of `TEMPERATURES`, so that no image need be held.

    Args:
        name: Of the metric.

    Example:
        >>> metric = CalibratedLoss()
        >>> metric.update_state([0, 1], [[8.0, 0.0], [8.0, 0.0]])
        >>> round(float(metric.result()), 2)  # The loss itself is 4.
        0.72
    """

    def __init__(self, name: str = NAME, **keywords: Any) -> None:
        super().__init__(name=name, **keywords)
        self._sums = self.add_variable((len(TEMPERATURES),), "zeros", name="sums")
        self._count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes labels, int [B] or shares of classes [B, K], and logits [B, K] of a batch."""
        labels, logits = ops.convert_to_tensor(y_true), ops.cast(y_pred, "float32")
        loss = make_loss(CROSS_ENTROPY, 0.0)
        sums = [ops.sum(loss(labels, logits / temperature)) for temperature in TEMPERATURES]
        self._sums.assign_add(ops.stack(sums))
        self._count.assign_add(ops.cast(ops.shape(logits)[0], "float32"))

    def result(self) -> Any:
        """The lowest mean: in nats."""
        return ops.min(self._sums) / ops.maximum(self._count, 1)
