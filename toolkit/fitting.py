"""The step in which the classifier is trained: the fit loop with all that watches over it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from toolkit.choosing import PREDICTION_BATCH
from toolkit.clock import Clock
from toolkit.data.batches import steps_per_epoch
from toolkit.data.table import TEST, TRAIN, VALIDATION
from toolkit.data.views import Views
from toolkit.option_checks import AUTO
from toolkit.options import FinetuneOptions
from toolkit.precision_search import search_precision
from toolkit.preparing import Tunable
from toolkit.progress import Reporter
from toolkit.rate_search import search_learning_rate
from toolkit.serving.tensorboard import TensorBoardLog
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.find_lr import LOWEST, suggest
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.optimization import FLOAT32
from toolkit.training.progress import TrainingProgress
from toolkit.training.time_budget import EndInTime, OutOfTimeError, TimeBudget
from toolkit.training.users_callbacks import UsersCallbacks
from toolkit.tuning import TrainingData
from toolkit.unfreezing import Trainable, read_training_data

SAVING_SECONDS = 15.0
"""Kept of a time budget for the bundle, at least: saving an EfficientNet-Lite0 took 7 to 12."""

SAVING_BY_BUILDING = 12.0
"""Times the seconds in which the network was built: large networks and busy machines need more."""


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
    clock: Clock,
    reporter: Reporter,
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
        clock: Tells how long the job has taken so far.
        reporter: Tells of it.
        teacher: What a teacher says of the training images: float32 [N, K].
        log: Where figures are written as well.
        callbacks: The caller's own.
        snapshots: How many there are to be kept, one after each so many epochs.
    """
    options, start = prepared.options, trainable.metrics[prepared.options.monitor]
    images = [len(prepared.table.split(name)) for name in (TRAIN, VALIDATION)]
    epochs, patience = options.epochs_for(images[0]), options.patience_for(images[0])
    every = epochs // snapshots if snapshots else 0
    checkpoint = Checkpoint(run.folder, patience, start, options.monitor, options.min_delta, every)
    budget = _budget(prepared, trainable, clock)
    data = _training_data(prepared, trainable, reporter, budget, teacher)
    rate = _learning_rate(data, prepared, run, reporter)
    precision = _precision(data, options, run, reporter)
    steps = steps_per_epoch(images[0], options.batch_size)
    if options.batch_size > images[0]:
        reporter.say(
            f"--batch-size {options.batch_size} is more than the {images[0]} training images: "
            "each epoch is one step."
        )
    if options.patience is not None and epochs and patience > epochs:
        reporter.say(
            f"--patience {patience} is more than the {epochs} epochs: training will not end early."
        )
    progress = TrainingProgress(steps, epochs, lambda: checkpoint.ended is None)
    users = UsersCallbacks(callbacks, checkpoint)
    watching: list[keras.callbacks.Callback] = [] if reporter.quiet else [progress]
    if budget:
        share = images[1] / images[0]
        watching.append(EndInTime(budget, checkpoint, steps, epochs, share))
    if log:
        views = Views(options.augment, options.seed, 1)
        train = prepared.table.split(TRAIN)
        log.batch(train, prepared.preparation, options.batch_size, views, options.mix)
        watching.append(log.callback())
    if callbacks:
        watching.append(users)
    try:
        fine_tune(
            data.model,
            data.training,
            data.validation,
            one_hot=data.one_hot,
            steps_per_epoch=steps,
            epochs=epochs,
            optimization=options.optimization(rate["value"], precision["value"]),
            rates=trainable.rates,
            log_priors=data.log_priors,
            checkpoint=checkpoint,
            callbacks=watching,
            time_budget=budget,
        )
    finally:
        progress.stop()
    if checkpoint.ended:
        reporter.say(f"Training ended early: {checkpoint.ended.why}")
    return Fitted(checkpoint, data, rate, precision, users.error)


def _budget(prepared: Tunable, trainable: Trainable, clock: Clock) -> TimeBudget | None:
    seconds = prepared.options.time_budget
    if seconds is None:
        return None
    images = sum(len(prepared.table.split(name)) for name in (VALIDATION, TEST))
    batches = steps_per_epoch(images, PREDICTION_BATCH)
    saving = max(SAVING_SECONDS, SAVING_BY_BUILDING * clock.parts["network"])
    reserve = saving + batches * _seconds_of_a_prediction(trainable.model)
    return TimeBudget(seconds, lambda: clock.total, reserve)


def _seconds_of_a_prediction(model: keras.Model) -> float:
    blank = np.zeros([PREDICTION_BATCH, *model.input_shape[1:]], np.float32)
    model.predict_on_batch(blank)  # The first one compiles.
    began = time.monotonic()
    model.predict_on_batch(blank)
    return time.monotonic() - began


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


class BudgetedReporter(Reporter):
    """A reporter that lets nothing go on once the time is up.

    Args:
        reporter: Whatever it shows.
        budget: The job's.
    """

    def __init__(self, reporter: Reporter, budget: TimeBudget) -> None:
        super().__init__(reporter.quiet)
        self._budget = budget

    def progress(self, items: Iterable, total: int, description: str) -> Iterable:
        """As a reporter's; it raises `OutOfTimeError`."""
        return self._budget.watch(super().progress(items, total, description))


def _learning_rate(
    data: TrainingData, prepared: Tunable, run: UnfinishedRun, reporter: Reporter
) -> dict[str, Any]:
    """The learning rate and why it is that, as the record tells it."""
    options = prepared.options
    if options.learning_rate is None:
        images = len(prepared.table.split(TRAIN))
        why = f"the default of {options.optimizer} for {images:,} images"
        return {"value": options.rate_for(images), "why": why}
    if options.learning_rate != AUTO:
        return {"value": options.learning_rate, "why": "it was given"}
    if options.epochs == 0:
        return {"value": LOWEST, "why": "nothing is trained"}

    def find() -> dict[str, Any]:
        test = search_learning_rate(data, prepared.table, options, reporter)
        found = suggest(test)
        reporter.say(f"Learning rate {found.value:.2g}: {found.why}.")
        return asdict(found)

    return run.remember("learning-rate", find)


def _precision(
    data: TrainingData, options: FinetuneOptions, run: UnfinishedRun, reporter: Reporter
) -> dict[str, Any]:
    """The precision and why it is that, as the record tells it."""
    if options.precision != AUTO:
        return {"value": options.precision, "why": "it was given"}
    if options.epochs == 0:
        return {"value": FLOAT32, "why": "nothing is trained"}
    return run.remember("precision", lambda: search_precision(data, options, reporter))
