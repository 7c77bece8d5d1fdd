"""Ends training where the loss is no finite number any more."""

import math

import keras

from toolkit.training.checkpoint import Checkpoint
from toolkit.training.ending import BAD_LOSS, Ending

MEND = "A lower --learning-rate, or gradients clipped at less (--clip-norm), may prevent it."


class LossGuard(keras.callbacks.Callback):
    """Ends training at the first batch whose loss is NaN or infinite, or at such a validation.

    Keras' `TerminateOnNaN` leaves the spoilt weights, and would let that epoch count.

    Args:
        checkpoint: Learns of it, so that the epoch does not count and the best weights return.
        steps_per_epoch: Batches in an epoch.
        epochs: Of the whole run.
    """

    def __init__(self, checkpoint: Checkpoint, steps_per_epoch: int, epochs: int) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._steps, self._epochs, self._epoch = steps_per_epoch, epochs, 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Looks at the epoch's mean loss: one bad batch spoils it."""
        self._check("loss", (logs or {}).get("loss", 0.0), batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Looks at the validation's loss, which the last step may have spoilt."""
        self._check("validation loss", (logs or {}).get("val_loss", 0.0), self._steps)

    def _check(self, what: str, loss: float, step: int) -> None:
        if math.isfinite(loss) or self._checkpoint.ended:
            return
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        why = (
            f"the {what} became {loss} in epoch {self._epoch + 1} of {self._epochs}, step {step} "
            f"of {self._steps}, at a learning rate of {rate:.3g}. {MEND}"
        )
        self._checkpoint.end(Ending(BAD_LOSS, self._epoch + 1, step, why))
