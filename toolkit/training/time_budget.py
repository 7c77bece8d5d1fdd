"""Ends training in time for what comes after it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras

from toolkit.clock import duration
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.ending import BUDGET, Ending

HOPEFUL = 2.0
"""An epoch is given up early only if it would not be done at twice the speed, either: a machine's
speed changes."""

MEASURED_STEPS = 10
"""Of an epoch, before it is given up for its speed."""


class OutOfTimeError(Exception):
    """The time budget was used up before training began."""


@dataclass(frozen=True)
class TimeBudget:
    """The time that a job may take.

    Attributes:
        seconds: From the job's start to its end.
        elapsed: Gives the seconds since the job's start.
        reserve: Seconds for all that comes after training.
    """

    seconds: float
    elapsed: Callable[[], float]
    reserve: float = 0.0

    @property
    def left(self) -> float:
        """Seconds for training."""
        return self.seconds - self.elapsed() - self.reserve

    def watch(self, items: Iterable) -> Iterable:
        """Gives the items until the time is up.

        Raises:
            OutOfTimeError: It is.
        """
        for item in items:
            yield item
            if self.left <= 0:
                raise OutOfTimeError


class EndInTime(keras.callbacks.Callback):
    """Ends training while there is time to validate, to predict and to save.

    Between two epochs, it ends where another would take too long, going by the fastest so far.
    Within an epoch, it ends before the first batch for which there is no time, or as soon as the
    epoch is hopeless.

    Args:
        budget: The job's.
        checkpoint: Learns of it, so that a cut epoch does not count and the best weights return.
        steps_per_epoch: Batches in an epoch.
        epochs: Of the whole run.
        validation_share: Images of validation by those of training: until a validation has been
            timed, an image is taken to need as long there as in training.
    """

    def __init__(
        self,
        budget: TimeBudget,
        checkpoint: Checkpoint,
        steps_per_epoch: int,
        epochs: int,
        validation_share: float,
    ) -> None:
        super().__init__()
        self._budget, self._checkpoint = budget, checkpoint
        self._steps, self._epochs, self._share = steps_per_epoch, epochs, validation_share
        self._validation: float | None = None
        self._fastest_epoch = float("inf")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Starts to measure the epoch."""
        self._epoch = epoch
        self._epoch_began = self._batch_ended = self._budget.elapsed()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends training where the next batch, or the epoch, would take too long."""
        now = self._budget.elapsed()
        if batch == 0:  # It compiles, and tells nothing of the others.
            self._first_ended = self._batch_ended = now
        step, self._batch_ended = now - self._batch_ended, now
        mean = (now - self._first_ended) / max(batch, 1)
        left = self._budget.left - self._validation_seconds(mean)
        to_do = self._steps - batch - 1
        hopeless = batch >= MEASURED_STEPS and to_do * mean > HOPEFUL * left
        if to_do and (hopeless or min(step, mean) > left):
            self._end(epoch=self._epoch + 1, step=batch + 1)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Starts to measure a validation."""
        self._test_began = self._budget.elapsed()

    def on_test_end(self, logs: dict | None = None) -> None:
        """Has measured a validation."""
        self._validation = self._budget.elapsed() - self._test_began

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Ends training where another epoch would take too long."""
        spent = self._budget.elapsed() - self._epoch_began
        self._fastest_epoch = min(self._fastest_epoch, spent)
        if epoch + 1 < self._epochs and self._fastest_epoch > self._budget.left:
            self._end(epoch=epoch + 1, step=0)

    def _validation_seconds(self, step: float) -> float:
        return self._share * self._steps * step if self._validation is None else self._validation

    def _end(self, epoch: int, step: int) -> None:
        if self._checkpoint.ended is None:
            at = f"in epoch {epoch} of {self._epochs}, step {step} of {self._steps}"
            where = at if step else f"after epoch {epoch} of {self._epochs}"
            self._checkpoint.end(budget_ending(self._budget, epoch, step, where))


def budget_ending(budget: TimeBudget, epoch: int, step: int, where: str) -> Ending:
    """An ending by a budget, `where` being words such as "after epoch 3 of 6"."""
    why = f"the time budget of {duration(budget.seconds)} ended training {where}"
    return Ending(BUDGET, epoch, step, why, budget.seconds)
