"""A learning rate that is lowered where validation stands still."""

import keras

from toolkit.training.checkpoint import Checkpoint
from toolkit.training.precision import inner
from toolkit.training.schedules import plateau_factor


class ReduceOnPlateau(keras.callbacks.Callback):
    """Sets the optimizer's `plateau_factor` before each epoch, by the watched figures so far.

    It has no state but the checkpoint's history: a resumed run goes on equally.

    Args:
        checkpoint: Keeps the history, and the monitor that says which figure is watched.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self._checkpoint = checkpoint

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sets the factor."""
        values = self._checkpoint.monitor.values(self._checkpoint.history)
        factor = plateau_factor([-value for value in values])
        inner(self.model.optimizer).plateau_factor.assign(factor)
