"""Training's progress, with the time left."""

from collections.abc import Callable

import keras

from toolkit.progress import bar


class TrainingProgress(keras.callbacks.Callback):
    """A progress bar over all epochs on standard error, with the last validation's figures.

    Args:
        steps_per_epoch: Batches in an epoch.
        epochs: Of the whole run.
        counts: Tells at its end whether an epoch counts; of one that does not, nothing is shown.
        name: What is trained.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        epochs: int,
        counts: Callable[[], bool] = lambda: True,
        name: str = "Fine-tuning",
    ) -> None:
        super().__init__()
        self._counts, self._name = counts, name
        self._steps_per_epoch = steps_per_epoch
        self._epochs = epochs
        self._bar = bar()

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Shows the bar."""
        self._bar.start()
        self._task = self._bar.add_task(
            self._name, total=self._epochs * self._steps_per_epoch, note=""
        )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Moves the bar to the epoch's first step."""
        self._bar.update(self._task, completed=epoch * self._steps_per_epoch)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Moves the bar by a step."""
        self._bar.advance(self._task)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Shows the validation's figures."""
        if not self._counts():
            return
        logs = logs or {}
        note = f"epoch {epoch + 1}/{self._epochs}: validation {logs['val_accuracy']:.1%}"
        self._bar.update(self._task, note=note)
        if not self._bar.console.is_terminal:  # Where no bar moves, a line tells.
            self._bar.console.print(f"{self._name}, {note}", highlight=False)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Leaves the bar on the screen."""
        self.stop()

    def stop(self) -> None:
        """Gives the screen back; Keras calls nothing where training is interrupted."""
        if self._bar.live.is_started:
            self._bar.stop()
