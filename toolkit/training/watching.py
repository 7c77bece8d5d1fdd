"""The callbacks that every training is watched by: its progress, and its time budget."""

import contextlib
from collections.abc import Iterator

import keras

from toolkit.training.checkpoint import Checkpoint
from toolkit.training.progress import TrainingProgress
from toolkit.training.time_budget import EndInTime, TimeBudget


@contextlib.contextmanager
def watching(
    checkpoint: Checkpoint,
    steps_per_epoch: int,
    epochs: int,
    validation_share: float,
    *,
    budget: TimeBudget | None,
    quiet: bool,
    name: str = "Fine-tuning",
) -> Iterator[list[keras.callbacks.Callback]]:
    """The callbacks; the screen is given back at the end, also of an interrupted training.

    Args:
        checkpoint: That of the training.
        steps_per_epoch: Batches in an epoch.
        epochs: Of the whole run.
        validation_share: Images of validation by those of training.
        budget: The job's, or None.
        quiet: Show no progress.
        name: What is trained.
    """
    progress = TrainingProgress(steps_per_epoch, epochs, lambda: checkpoint.ended is None, name)
    callbacks: list[keras.callbacks.Callback] = [] if quiet else [progress]
    if budget:
        end = EndInTime(budget, checkpoint, steps_per_epoch, epochs, validation_share)
        callbacks.append(end)
    try:
        yield callbacks
    finally:
        progress.stop()
