"""The search for a learning rate: the range test on what training would read."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from toolkit.data.order import steps_per_epoch
from toolkit.data.table import TRAIN, ImageTable
from toolkit.option_checks import AUTO
from toolkit.options import FinetuneOptions
from toolkit.progress import Reporter
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.fast_convolutions import fast_convolutions
from toolkit.training.find_lr import LOWEST, STEPS, RangeTest, range_test, suggest
from toolkit.training.fine_tuning import compile_model
from toolkit.training.optimization import FLOAT32
from toolkit.tuning import TrainingData


def decide_learning_rate(
    data: TrainingData,
    table: ImageTable,
    options: FinetuneOptions,
    run: UnfinishedRun,
    reporter: Reporter,
) -> dict[str, Any]:
    """The highest learning rate as `value`, and `why` it is that.

    Args:
        data: See `search_learning_rate`.
        table: All images.
        options: The job's.
        run: Remembers what a range test suggested.
        reporter: Tells what it suggests.
    """
    if options.learning_rate is None:
        images = len(table.split(TRAIN))
        why = f"the default of {options.optimizer} for {images:,} images"
        return {"value": options.rate_for(images), "why": why}
    if options.learning_rate != AUTO:
        return {"value": options.learning_rate, "why": "it was given"}
    if options.epochs == 0:
        return {"value": LOWEST, "why": "nothing is trained"}

    def find() -> dict[str, Any]:
        found = suggest(search_learning_rate(data, table, options, reporter))
        reporter.say(f"Learning rate {found.value:.2g}: {found.why}.")
        return asdict(found)

    return run.remember("learning-rate", find)


def search_learning_rate(
    data: TrainingData,
    table: ImageTable,
    options: FinetuneOptions,
    reporter: Reporter,
    steps: int = STEPS,
) -> RangeTest:
    """Runs the range test and leaves the model as it was.

    Args:
        data: What training would read, and the model that it would train.
        table: All images.
        options: The job's; the learning rate is passed over.
        reporter: Shows how far it is.
        steps: At most so many.
    """
    in_epoch = steps_per_epoch(len(table.split(TRAIN)), options.batch_size)
    model = compile_model(
        data.model,
        options.optimization(LOWEST, FLOAT32),
        steps,
        one_hot=data.one_hot,
        validate_alike=True,  # The loss before a step is compared with that of the start.
    )
    epochs = range(math.ceil(steps / in_epoch))

    def batches() -> Iterable:
        return reporter.progress(data.training(epochs), steps, "Learning rates")

    with fast_convolutions(model):
        return range_test(model, batches, steps=steps)
