"""The search for a learning rate: the range test on what training would read."""

import math
from collections.abc import Iterable

from toolkit.data.batches import steps_per_epoch
from toolkit.data.table import TRAIN, ImageTable
from toolkit.options import FinetuneOptions
from toolkit.progress import Reporter
from toolkit.training.find_lr import LOWEST, STEPS, RangeTest, range_test
from toolkit.training.fine_tuning import compile_model
from toolkit.training.optimization import FLOAT32
from toolkit.tuning import TrainingData


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
        log_priors=data.log_priors,
        validate_alike=True,  # The loss before a step is compared with that of the start.
    )
    epochs = range(math.ceil(steps / in_epoch))

    def batches() -> Iterable:
        return reporter.progress(data.training(epochs), steps, "Learning rates")

    return range_test(model, batches, steps=steps)
