"""The learning rate range test: how the loss answers to a rising learning rate."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from toolkit.training.variables import assign, copy

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100

SMOOTHING = 0.9
"""Share of the former losses in the smoothed one. (fastai's 0.98 is for more steps.)"""

DIVERGED = 4.0
"""Times the lowest smoothed loss, from which the test stops: fastai's limit."""

FALLEN = 0.8
"""Times the start's: from there on, the smoothed loss has fallen, and not by chance."""

FEWEST = 10
"""Steps without which nothing can be suggested."""


_TINY = 1e-9
"""Instead of a loss of 0 to divide by."""


@dataclass(frozen=True)
class RangeTest:
    """What a range test has measured; all lists have the same length, at most `steps`.

    Attributes:
        learning_rates: Of each step, rising.
        losses: Of each step's batch, before it was learned from.
        start_losses: Of the same batches, by the model as it was at the start.
        smoothed: The running mean of the losses, divided by that of the start losses. Batches
            differ more than the first steps change a model that starts from a probe: so divided,
            it is about 1 until something is learned.
        diverged: Whether that rose beyond bounds, or was no number, before the last step.
    """

    learning_rates: list[float]
    losses: list[float]
    start_losses: list[float]
    smoothed: list[float]
    diverged: bool


def range_test(
    model: keras.Model,
    batches: Callable[[], Iterable],
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
) -> RangeTest:
    """Trains some steps at exponentially rising learning rates, and leaves the model as it was.

    Its weights, its optimizer's state and schedule, BatchNorm's statistics and the layers' random
    generators are put back to the bit.

    Args:
        model: A compiled one.
        batches: Gives (x, y) or (x, y, sample weights), as `fit` takes them, and the same when it
            is called again; no more than `steps` are taken.
        lowest: The first learning rate.
        highest: The last, unless the loss diverges before.
        steps: At most so many.

    See Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, and fastai's `lr_find`.

    Example:
        >>> range_test(model, lambda: data.batch(32)).smoothed[0]
        1.02
    """
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    before = copy(variables)
    rising = keras.optimizers.schedules.ExponentialDecay(
        lowest, decay_steps=max(1, steps - 1), decay_rate=highest / lowest
    )
    start = [_loss(model.test_on_batch, batch) for batch in itertools.islice(batches(), steps)]
    with _scheduled(model, rising):
        try:
            losses, diverged = _train(model, itertools.islice(batches(), steps), start)
        finally:
            assign(variables, before)
    rates = [float(keras.ops.convert_to_numpy(rising(step))) for step in range(len(losses))]
    start = start[: len(losses)]
    return RangeTest(rates, losses, start, _relative(losses, start), diverged)


@contextlib.contextmanager
def _scheduled(model: keras.Model, schedule: Any) -> Iterator[None]:
    """Gives the model's optimizer another learning rate, for a while.

    The public setter would forget a learning rate that is a variable of the optimizer's.
    """
    former = model.optimizer._learning_rate
    model.optimizer._learning_rate = schedule
    model.make_train_function(force=True)  # It holds the learning rate with which it was made.
    try:
        yield
    finally:
        model.optimizer._learning_rate = former
        model.make_train_function(force=True)
        model.reset_metrics()


def _train(model: keras.Model, batches: Iterable, start: list[float]) -> tuple[list[float], bool]:
    """The loss of each step, and whether it diverged."""
    losses: list[float] = []
    for batch in batches:
        losses.append(_loss(model.train_on_batch, batch))
        if not math.isfinite(losses[-1]):
            return losses[:-1], True
        smoothed = _relative(losses, start)
        if len(losses) >= FEWEST and smoothed[-1] > DIVERGED * min(smoothed):
            return losses, True
    return losses, False


def _loss(run: Callable[..., Any], batch: Iterable) -> float:
    return float(run(*map(np.asarray, batch), return_dict=True)["loss"])


def _relative(losses: list[float], start: list[float]) -> list[float]:
    return [a / max(b, _TINY) for a, b in zip(smooth(losses), smooth(start), strict=False)]


def smooth(losses: list[float], share: float = SMOOTHING) -> list[float]:
    """An exponential running mean without the bias to its start: as long as `losses`."""
    means, mean = [], 0.0
    for step, loss in enumerate(losses, start=1):
        mean = share * mean + (1 - share) * loss
        means.append(mean / (1 - share**step))
    return means


@dataclass(frozen=True)
class Suggestion:
    """A learning rate, and in words why that."""

    value: float
    why: str


def suggest(test: RangeTest) -> Suggestion:
    """A learning rate that is a good one to train with.

    Where the loss has fallen, it is the usual tenth of the learning rate at which it was lowest.
    From a probe's head, a few steps hardly lower the loss of images that have not been learned
    yet, and the lowest point is chance: there, it is a third of where the loss has risen to four
    times that.
    """
    rates, smoothed = test.learning_rates, test.smoothed
    if len(smoothed) < FEWEST:
        return Suggestion(LOWEST, f"the loss diverges within {len(smoothed)} steps from {LOWEST}")
    lowest = int(np.argmin(smoothed))
    if smoothed[lowest] < FALLEN:
        return Suggestion(rates[lowest] / 10, f"a tenth of {rates[lowest]:.2g}, at the lowest loss")
    where = "where the loss diverges" if test.diverged else "the highest that was tried"
    return Suggestion(rates[-1] / 3, f"a third of {rates[-1]:.2g}, {where}; no rate lowered it")
