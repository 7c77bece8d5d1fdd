"""Validation's loss without the penalties on weights."""

from typing import Any

import keras


class SparedPenalty(keras.callbacks.Callback):
    """Takes L1 and L2 penalties off `val_loss`, to which Keras adds them.

    They belong to what is minimized. Validation asks how good the predictions are, and compares
    them with the probe's, whose loss has no penalty. To be called before what reads `val_loss`.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The weights are still those that were validated."""
        if logs and "val_loss" in logs:
            penalties = [float(keras.ops.convert_to_numpy(loss)) for loss in self.model.losses]
            logs["val_loss"] -= sum(penalties)
