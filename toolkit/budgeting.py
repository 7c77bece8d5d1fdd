"""The time budget of a job: what is kept for its end, and who watches it."""

import time
from collections.abc import Iterable

import keras
import numpy as np

from toolkit.choosing import PREDICTION_BATCH
from toolkit.clock import Clock
from toolkit.data.order import steps_per_epoch
from toolkit.data.table import TEST, VALIDATION
from toolkit.preparing import Tunable
from toolkit.progress import Reporter
from toolkit.training.time_budget import TimeBudget

SAVING_SECONDS = 15.0
"""Kept of a time budget for the bundle, at least: saving an EfficientNet-Lite0 took 7 to 12."""

SAVING_BY_BUILDING = 12.0
"""Times the seconds in which the network was built: large networks and busy machines need more."""


def make_budget(prepared: Tunable, clock: Clock) -> TimeBudget | None:
    """The budget that the options give, less what predictions and the bundle will take.

    Args:
        prepared: What training starts from.
        clock: Tells how long the job has taken so far, and how long the network took to build.
    """
    seconds = prepared.options.time_budget
    if seconds is None:
        return None
    images = sum(len(prepared.table.split(name)) for name in (VALIDATION, TEST))
    batches = steps_per_epoch(images, PREDICTION_BATCH)
    saving = max(SAVING_SECONDS, SAVING_BY_BUILDING * clock.parts["network"])
    return TimeBudget(
        seconds, lambda: clock.total, saving + _prediction_seconds(prepared.network.model, batches)
    )


def _prediction_seconds(model: keras.Model, batches: int) -> float:
    """Of so many batches; the first one compiles."""
    blank = np.zeros([PREDICTION_BATCH, *model.input_shape[1:]], np.float32)
    began = time.monotonic()
    model.predict_on_batch(blank)
    compiled = time.monotonic()
    model.predict_on_batch(blank)
    return compiled - began + batches * (time.monotonic() - compiled)


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
