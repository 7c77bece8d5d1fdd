"""The search for the fastest precision: a few training steps in each."""

from typing import Any

import numpy as np

from toolkit.option_checks import AUTO
from toolkit.options import FinetuneOptions
from toolkit.progress import Reporter
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.fast_convolutions import fast_convolutions
from toolkit.training.find_lr import LOWEST
from toolkit.training.fine_tuning import compile_model
from toolkit.training.optimization import FLOAT32
from toolkit.training.precision import (
    candidates,
    computing_in,
    fastest_precision,
    seconds_of_a_step,
)
from toolkit.training.variables import assign, copy
from toolkit.tuning import TrainingData


def decide_precision(
    data: TrainingData, options: FinetuneOptions, run: UnfinishedRun, reporter: Reporter
) -> dict[str, Any]:
    """The precision as `value`, and `why` it is that; what a search finds, the run remembers."""
    if options.precision != AUTO:
        return {"value": options.precision, "why": "it was given"}
    if options.epochs == 0:
        return {"value": FLOAT32, "why": "nothing is trained"}
    return run.remember("precision", lambda: search_precision(data, options, reporter))


def search_precision(
    data: TrainingData, options: FinetuneOptions, reporter: Reporter
) -> dict[str, Any]:
    """Times training steps in each precision, and leaves the model as it was.

    Args:
        data: What training would read, and the model that it would train.
        options: The job's.
        reporter: Tells what is found.

    Returns:
        The precision as `value`, `why` it is that, and `seconds`, those of a step in each.
    """
    batch = [np.asarray(part) for part in next(iter(data.training(range(1))))]
    before = copy(data.model.variables)
    seconds = {}
    for name in reporter.progress(candidates(), len(candidates()), "Comparing precisions"):
        seconds[name] = _seconds(data, batch, options, name)
        assign(data.model.variables, before)
    value, why = fastest_precision(seconds)
    reporter.say(f"--precision auto takes {value}: {why}.")
    return {"value": value, "why": why, "seconds": seconds}


def _seconds(
    data: TrainingData, batch: list[np.ndarray], options: FinetuneOptions, name: str
) -> float:
    wanted = options.optimization(LOWEST, name)
    with computing_in(data.model, name), fast_convolutions(data.model):
        model = compile_model(data.model, wanted, 1000, one_hot=data.one_hot)
        return seconds_of_a_step(lambda: model.train_on_batch(*batch))
