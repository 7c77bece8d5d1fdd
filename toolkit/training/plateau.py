"""A learning rate that is lowered where validation stands still."""

from collections.abc import Mapping, Sequence

import keras

from toolkit.training.schedules import plateau_factor


class ReduceOnPlateau(keras.callbacks.Callback):
    """Sets the optimizer's `plateau_factor` before each epoch, by the validation losses so far.

    It has no state but the history, which `Checkpoint` keeps: a resumed run goes on equally.

    Args:
        history: A row with `val_loss` for each finished epoch, growing.
    """

    def __init__(self, history: Sequence[Mapping[str, float]]) -> None:
        super().__init__()
        self._history = history

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sets the factor."""
        losses = [row["val_loss"] for row in self._history]
        self.model.optimizer.plateau_factor.assign(plateau_factor(losses))
