"""Fine-tuning: training from cached activations against training from images.

The same photos (at most 512), batch size, optimizer and augmentation, an epoch in each round after
one that is not counted, since Keras traces the step anew where another kind of input came before.
Validation and checkpoints are left out for all, and so is the end of `fit` after its last batch: it
waits for tf.data's tuning there, by chance for as long as the epoch took.

- *Keras' guide*: "Transfer learning & fine-tuning" (https://keras.io/guides/transfer_learning), its
  second phase: everything unfrozen, augmentation layers in the model, the images resized and kept
  in memory by `image_dataset_from_directory(...).cache()`. One epoch before all rounds fills it.
- *Keras' guide, same stages*: the same with the layers below the default top stages left frozen, as
  TensorFlow's tutorial does it (https://www.tensorflow.org/tutorials/images/transfer_learning).
- *cached activations*: the default top stages of the network, trained on what the frozen stages
  below gave for augmented views, as `toolkit finetune` does by default.
- *images, same stages*: the same stages trained from the images (`--views 0`): each step decodes,
  augments, and runs the frozen stages.
- *images, whole network*: the same with all stages trained; BatchNorm stays frozen.
- *bare fit*: `model.fit` of the same network over arrays in memory, of the same activations, or of
  images that are prepared and augmented already: what any pipeline could reach at best.

All but the guide convolve as `toolkit finetune` does (`toolkit/training/fast_convolutions.py`):
frozen BatchNorms go into the convolutions before them, and some gradients are computed in another
way. *As Keras convolves* is the cached activations without that.

All train in float32, but for *cached, --precision auto*: in what a few steps show to be faster, as
`toolkit finetune --precision auto` does it. That is bfloat16 where the processor computes with it.

The activations must be computed first. The last table has what that takes with an empty cache
(to convert the frozen stages for the engine, to run them over all views and the validation photos),
and adds up the toolkit's default number of epochs with and without it. The search for the precision
is not in it: some seconds, once.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import guide
from benchmarks.folders import link_classes, own_cache, temporary_folder
from benchmarks.images import describe, read_table
from benchmarks.measure import alternate, rate_to_last_batch, seconds_of
from benchmarks.networks import frozen_network, load_network
from benchmarks.outcome import Comparison, Outcome, compare
from benchmarks.settings import Settings
from benchmarks.training import compile_model, fit, make_classifier
from toolkit.backbones import stage_layers
from toolkit.data.order import steps_per_epoch
from toolkit.data.sources import list_source
from toolkit.data.splits import assign_splits, check_classes
from toolkit.data.table import TRAIN, ImageTable
from toolkit.option_checks import AUTO
from toolkit.precision_search import search_precision
from toolkit.training.fast_convolutions import fast_convolutions
from toolkit.training.precision import computing_in
from toolkit.tuning import TrainingData, make_training_data

IMAGES = 512
EPOCHS = 6
GUIDE, GUIDE_STAGES = "Keras' guide", "Keras' guide, same stages"
WHOLE, STAGES = "images, whole network", "images, same stages"
CACHED, PLAIN = "cached activations", "cached, as Keras convolves"
LOWER = "cached, --precision auto"
MAKING = "computing the activations"
BARE = {CACHED: "bare fit, activations", STAGES: "bare fit, images"}


def run(settings: Settings) -> Outcome:
    """Measures images a second of training, and the time of whole trainings."""
    with own_cache(), temporary_folder() as folder:
        # The limit is of training photos; the two other splits come on top.
        limited = read_table(settings, round(IMAGES / 0.7))
        check_classes(limited)
        table = assign_splits(limited, (0.7, 0.15, 0.15), 0)
        epochs = settings.epochs or EPOCHS
        cached = _Training(settings, table, epochs=epochs)
        plain = _Training(settings, table, nullcontext, epochs=epochs)
        lower = _Training(settings, table, epochs=epochs, precision=AUTO)
        stages = _Training(settings, table, epochs=epochs, views=0)
        everything, default = len(cached.network.backbone.stages), cached.network.backbone.unfreeze
        whole = _Training(settings, table, epochs=epochs, views=0, unfreeze=everything)
        contestants = {
            GUIDE: _guide_epoch(settings, table, folder / "all"),
            GUIDE_STAGES: _guide_epoch(settings, table, folder / "top", default),
            WHOLE: whole.epoch,
            STAGES: stages.epoch,
            PLAIN: plain.epoch,
            CACHED: cached.epoch,
            LOWER: lower.epoch,
            BARE[CACHED]: cached.bare_epoch,
            BARE[STAGES]: stages.bare_epoch,
            MAKING: cached.make_anew,
        }
        measured = alternate(settings.repetitions, contestants, say=settings.say)
        notes = [
            *cached.notes(),
            f"{cached.images:,} training photos, {epochs} epochs.",
            f"--precision auto takes {lower.precision['value']}: {lower.precision['why']}.",
        ]
        data = describe(table)
    making = measured.pop(MAKING)
    pairs = {name: measured[name] for pair in BARE.items() for name in pair}
    for name in BARE.values():
        del measured[name]
    comparisons = [
        compare("Training alone", "images/s", measured, GUIDE),
        compare("The same stages", "images/s", _without(measured, GUIDE, WHOLE), GUIDE_STAGES),
        Comparison("Through the pipeline", "images/s", pairs, BARE, "a bare fit of the same"),
        _whole_trainings(_without(measured, PLAIN), making, cached.images, epochs),
    ]
    return Outcome(data, comparisons, notes=notes)


class _Training:
    """A model with its source of batches, compiled, and how its gradients are computed."""

    def __init__(
        self,
        settings: Settings,
        table: ImageTable,
        computing: Callable[[keras.Model], AbstractContextManager] = fast_convolutions,
        **changes: Any,
    ) -> None:
        self._frozen, self.network = frozen_network(settings, **changes)
        self._table, self._computing = table, computing
        options = self._frozen.options
        self._model, self._below = make_classifier(self.network, len(table.classes), options)
        self._engine = self._frozen.engine(options.engine, table)
        self.images = len(table.split(TRAIN))
        self._steps = steps_per_epoch(self.images, options.batch_size)
        self._source = self._make()
        self.precision = self._search_precision()
        options = replace(options, precision=self.precision["value"])
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
            model = self._source.model
            with computing_in(model, self.precision["value"]), self._computing(model):
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

    def _search_precision(self) -> dict[str, Any]:
        options = self._frozen.options
        if options.precision != AUTO:
            return {"value": options.precision}
        return search_precision(self._source, options, self._frozen.reporter)

    def _make(self) -> TrainingData:
        return make_training_data(self._model, self._below, self._table, self._frozen, self._engine)


def _guide_epoch(
    settings: Settings, table: ImageTable, folder: Path, unfreeze: int | None = None
) -> Callable[[], float]:
    """Measures an epoch's images a second of the guide's second phase.

    Args:
        settings: The command's.
        table: All images; those of the training split are trained on.
        folder: For links to them.
        unfreeze: How many stages from the top are trained; by default everything.
    """
    train = table.split(TRAIN)
    link_classes(train, folder)
    network, _ = load_network(settings)
    base = network.model
    images, classes = guide.training_images(str(folder), base.input_shape[1:3])
    model = guide.build_model(base, classes, list_source(settings.data).flips)
    base.trainable = True
    stages = list(stage_layers(base, network.backbone).values())
    for layer in chain.from_iterable(stages[:-unfreeze] if unfreeze else []):
        layer.trainable = False
    guide.compile_model(model, guide.UNFROZEN_RATE)
    model.fit(images, epochs=1, verbose=0)
    return rate_to_last_batch(partial(model.fit, images, epochs=1, verbose=0), len(train))


def _without(rates: dict[str, list[float]], *names: str) -> dict[str, list[float]]:
    return {name: each for name, each in rates.items() if name not in names}


def _whole_trainings(
    rates: dict[str, list[float]], making: list[float], images: int, epochs: int
) -> Comparison:
    seconds = {name: [epochs * images / rate for rate in each] for name, each in rates.items()}
    for name in (CACHED, LOWER):
        seconds[name] = [a + b for a, b in zip(seconds[name], making, strict=True)]
    title = f"{epochs} epochs, with computing the activations"
    return compare(title, "s", {**seconds, MAKING: making}, GUIDE)
