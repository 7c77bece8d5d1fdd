"""The step in which the classifier is trained: the fit loop with all that watches over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from toolkit.budgeting import BudgetedReporter
from toolkit.data.order import steps_per_epoch
from toolkit.data.table import TRAIN, VALIDATION
from toolkit.data.views import Views
from toolkit.options import FinetuneOptions
from toolkit.precision_search import decide_precision
from toolkit.preparing import Tunable
from toolkit.progress import Reporter
from toolkit.rate_search import decide_learning_rate
from toolkit.serving.tensorboard import TensorBoardLog
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.monitor import figure
from toolkit.training.time_budget import OutOfTimeError, TimeBudget
from toolkit.training.users_callbacks import UsersCallbacks
from toolkit.training.watching import watching
from toolkit.tuning import TrainingData
from toolkit.unfreezing import Trainable, read_training_data


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        checkpoint: Its history, and what ended it.
        data: What it read.
        learning_rate: The highest, and why it is that: `value` and `why`.
        precision: In which it was computed, and why that, as well.
        error: What a callback of the caller's own has raised, or None.
    """

    checkpoint: Checkpoint
    data: TrainingData
    learning_rate: dict[str, Any]
    precision: dict[str, Any]
    error: Exception | None


def fit(
    prepared: Tunable,
    trainable: Trainable,
    run: UnfinishedRun,
    reporter: Reporter,
    budget: TimeBudget | None = None,
    teacher: np.ndarray | None = None,
    log: TensorBoardLog | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    snapshots: int = 0,
) -> Fitted:
    """Trains what is trainable, and leaves it with the best weights.

    Args:
        prepared: What training starts from.
        trainable: The classifier.
        run: Where the state is kept; one that was begun goes on.
        reporter: Tells of it.
        budget: The job's; it may be used up.
        teacher: What a teacher says of the training images: float32 [N, K].
        log: Where figures are written as well.
        callbacks: The caller's own.
        snapshots: How many there are to be kept, one after each so many epochs.
    """
    options, images = prepared.options, len(prepared.table.split(TRAIN))
    _tell_oddities(options, images, reporter)
    checkpoint = _checkpoint(options, images, trainable.metrics, run, snapshots)
    data = _training_data(prepared, trainable, reporter, budget, teacher)
    rate = decide_learning_rate(data, prepared.table, options, run, reporter)
    precision = decide_precision(data, options, run, reporter)
    users = UsersCallbacks(callbacks, checkpoint)
    further = [*_logging(prepared, log), *([users] if callbacks else [])]
    steps, epochs = steps_per_epoch(images, options.batch_size), options.epochs_for(images)
    share = len(prepared.table.split(VALIDATION)) / images
    with watching(
        checkpoint, steps, epochs, share, budget=budget, quiet=reporter.quiet
    ) as watchers:
        fine_tune(
            data.model,
            data.training,
            data.validation,
            one_hot=data.one_hot,
            steps_per_epoch=steps,
            epochs=epochs,
            optimization=options.optimization(rate["value"], precision["value"]),
            rates=trainable.rates,
            checkpoint=checkpoint,
            callbacks=[*watchers, *further],
            time_budget=budget,
        )
    if checkpoint.ended:
        reporter.say(f"Training ended early: {checkpoint.ended.why}")
    return Fitted(checkpoint, data, rate, precision, users.error)


def _tell_oddities(options: FinetuneOptions, images: int, reporter: Reporter) -> None:
    """Says what can be meant, but hardly is."""
    epochs = options.epochs_for(images)
    if options.batch_size > images:
        reporter.say(
            f"--batch-size {options.batch_size} is more than the {images} training images: "
            "each epoch is one step."
        )
    if options.patience is not None and 0 < epochs < options.patience:
        reporter.say(
            f"--patience {options.patience} is more than the {epochs} epochs: "
            "training will not end early."
        )


def _checkpoint(
    options: FinetuneOptions,
    images: int,
    start: dict[str, Any],
    run: UnfinishedRun,
    snapshots: int,
) -> Checkpoint:
    return Checkpoint(
        run.folder,
        options.patience_for(images),
        start[figure(options.monitor)],
        options.monitor,
        options.min_delta,
        keep_every=options.epochs_for(images) // snapshots if snapshots else 0,
    )


def _training_data(
    prepared: Tunable,
    trainable: Trainable,
    reporter: Reporter,
    budget: TimeBudget | None,
    teacher: np.ndarray | None,
) -> TrainingData:
    """What training reads; where the time is up before it can be read, what it could read."""
    if budget is None:
        return read_training_data(prepared, trainable, reporter, teacher)
    try:
        return read_training_data(prepared, trainable, BudgetedReporter(reporter, budget), teacher)
    except OutOfTimeError:
        return read_training_data(prepared, trainable, Reporter(quiet=True), teacher, views=0)


def _logging(prepared: Tunable, log: TensorBoardLog | None) -> list[keras.callbacks.Callback]:
    """What logs the training, an augmented batch being logged at once."""
    if log is None:
        return []
    options, train = prepared.options, prepared.table.split(TRAIN)
    views = Views(options.augment, options.seed, 1)
    log.batch(train, prepared.preparation, options.batch_size, views, options.mix)
    return [log.callback()]
