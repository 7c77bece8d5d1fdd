"""Fine-tuning: training from cached activations against training from images.

The same photos (at most 512), batch size, optimizer and augmentation, an epoch in each round after
one that is not counted, since Keras traces the step anew where another kind of input came before.
Validation and checkpoints are left out for all, and so is the end of `fit` after its last batch: it
waits for tf.data's tuning there, by chance for as long as the epoch took.

- *cached activations*: the default top stages of the network, trained on what the frozen stages
  below gave for augmented views, as `toolkit finetune` does by default.
- *images, same stages*: the same stages trained from the images (`--views 0`): each step decodes,
  augments, and runs the frozen stages.
- *images, whole network*: the same with all stages trained, as after a plain
  `base.trainable = True`; BatchNorm stays frozen.
- *bare fit*: `model.fit` over arrays in memory, of the same activations, or of images that are
  prepared and augmented already: what any pipeline could reach at best.

The activations must be computed first. The last table has what that takes with an empty cache
(to convert the frozen stages for the engine, to run them over all views and the validation photos),
and adds up the toolkit's default number of epochs with and without it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.folders import own_cache
from benchmarks.images import describe, read_table
from benchmarks.measure import alternate, rate_to_last_batch, seconds_of
from benchmarks.networks import frozen_network
from benchmarks.outcome import Comparison, Outcome, compare
from benchmarks.settings import Settings
from benchmarks.training import compile_model, fit, make_classifier
from toolkit.data.order import steps_per_epoch
from toolkit.data.splits import assign_splits, check_classes
from toolkit.data.table import TRAIN, ImageTable
from toolkit.tuning import TrainingData, make_training_data

IMAGES = 512
EPOCHS = 6
CACHED, STAGES, WHOLE = "cached activations", "images, same stages", "images, whole network"
MAKING = "computing the activations"
BARE = {CACHED: "bare fit, activations", STAGES: "bare fit, images"}


def run(settings: Settings) -> Outcome:
    """Measures images a second of training, and the time of whole trainings."""
    with own_cache():
        # The limit is of training photos; the two other splits come on top.
        limited = read_table(settings, round(IMAGES / 0.7))
        check_classes(limited)
        table = assign_splits(limited, (0.7, 0.15, 0.15), 0)
        epochs = settings.epochs or EPOCHS
        cached = _Training(settings, table, epochs=epochs)
        stages = _Training(settings, table, epochs=epochs, views=0)
        everything = len(cached.network.backbone.stages)
        whole = _Training(settings, table, epochs=epochs, views=0, unfreeze=everything)
        contestants = {
            WHOLE: whole.epoch,
            STAGES: stages.epoch,
            CACHED: cached.epoch,
            BARE[CACHED]: cached.bare_epoch,
            BARE[STAGES]: stages.bare_epoch,
            MAKING: cached.make_anew,
        }
        measured = alternate(settings.repetitions, contestants, say=settings.say)
        notes = [*cached.notes(), f"{cached.images:,} training photos, {epochs} epochs."]
        data = describe(table)
    making = measured.pop(MAKING)
    pairs = {name: measured[name] for pair in BARE.items() for name in pair}
    for name in BARE.values():
        del measured[name]
    comparisons = [
        compare("Training alone", "images/s", measured, STAGES),
        Comparison("Through the pipeline", "images/s", pairs, BARE, "a bare fit of the same"),
        _whole_trainings(measured, making, cached.images, epochs),
    ]
    return Outcome(data, comparisons, notes=notes)


class _Training:
    """A model with its source of batches, compiled."""

    def __init__(self, settings: Settings, table: ImageTable, **changes: Any) -> None:
        self._frozen, self.network = frozen_network(settings, **changes)
        self._table = table
        options = self._frozen.options
        self._model, self._below = make_classifier(self.network, len(table.classes), options)
        self._engine = self._frozen.engine(options.engine, table)
        self.images = len(table.split(TRAIN))
        self._steps = steps_per_epoch(self.images, options.batch_size)
        self._source = self._make()
        compile_model(self._source.model, options, 1000 * self._steps)

    @property
    def epoch(self) -> Callable[[], float]:
        """Measures an epoch's images a second."""
        model, steps = self._source.model, self._steps
        return self._rate(lambda **how: fit(model, self._source.training(range(1)), steps, **how))

    @property
    def bare_epoch(self) -> Callable[[], float]:
        """Measures an epoch's images a second over arrays in memory."""
        inputs, labels = (
            np.concatenate([np.asarray(part) for part in parts])
            for parts in zip(*self._source.training(range(1)), strict=True)
        )
        model, batch = self._source.model, self._frozen.options.batch_size
        return self._rate(partial(model.fit, inputs, labels, batch_size=batch, verbose=0))

    def _rate(self, train: Callable[..., object]) -> Callable[[], float]:
        measure = rate_to_last_batch(train, self.images)

        def after_another() -> float:
            train()
            return measure()

        return after_another

    def make_anew(self) -> float:
        """Measures the seconds of computing the activations with an empty cache."""
        with own_cache():
            return seconds_of(self._make)()

    def notes(self) -> list[str]:
        """How many views there are, or why there are none."""
        if not self._source.views:
            return [f"No activations could be cached: {self._source.why}."]
        return [f"{self._source.views} views of each photo, by {self._source.engine}."]

    def _make(self) -> TrainingData:
        return make_training_data(self._model, self._below, self._table, self._frozen, self._engine)


def _whole_trainings(
    rates: dict[str, list[float]], making: list[float], images: int, epochs: int
) -> Comparison:
    seconds = {name: [epochs * images / rate for rate in each] for name, each in rates.items()}
    seconds[CACHED] = [a + b for a, b in zip(seconds[CACHED], making, strict=True)]
    title = f"{epochs} epochs, with computing the activations"
    return compare(title, "s", {**seconds, MAKING: making}, STAGES)
