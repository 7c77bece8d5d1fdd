"""A search for the learning rate, without a training."""

import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import backbones
from toolkit.asking import make_options
from toolkit.clock import Clock
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.evaluation.pictures import learning_rates
from toolkit.job import finetune_arguments
from toolkit.option_checks import check_whole
from toolkit.output_files import drawn_to, picture_path
from toolkit.preparing import prepare, read_images
from toolkit.probing import fit_on_features
from toolkit.progress import Reporter
from toolkit.rate_search import search_learning_rate
from toolkit.training.find_lr import FEWEST, STEPS, RangeTest, suggest
from toolkit.unfreezing import make_trainable, read_training_data

NOT_TAKEN = (
    "name",
    "models_dir",
    "learning_rate",
    "schedule",
    "warmup",
    "ema",
    "swa",
    "precision",
    "monitor",
    "min_delta",
    "patience",
    "time_budget",
    "tensorboard",
    "teacher",
    "teacher_share",
    "teacher_temperature",
    "calibrate",
    "reject_below",
    "callbacks",
    "resume",
)
"""Options of `finetune` that do not matter here."""


@dataclass(frozen=True)
class LearningRateSearch:
    """What a search has found.

    Attributes:
        suggestion: The learning rate to give to `finetune`.
        why: That one, in words.
        path: Of the picture.
        test: What was measured at each learning rate.
    """

    suggestion: float
    why: str
    path: Path
    test: RangeTest


def find_lr(
    data: str | os.PathLike[str] | Source,
    output: str | os.PathLike[str] = "learning-rates.png",
    *,
    steps: int = STEPS,
    quiet: bool = False,
    **options: Any,
) -> LearningRateSearch:
    """Finds a learning rate for `finetune`, by training some steps at ever higher ones.

    It reads the images, computes features, fits the probe and prepares the training data as
    `finetune` does, which then finds them in the cache. `finetune(learning_rate="auto")` does the
    same and goes on. See Smith, "Cyclical Learning Rates for Training Neural Networks", 2017.

    Args:
        data: A `toolkit.Source`, or its location alone.
        output: The PNG file to write; one that is there is replaced.
        steps: At most so many, from 1e-7 to 10; it stops where the loss rises beyond bounds.
        quiet: Show no progress.
        options: Those of `finetune` that decide what is trained and on what, by their names there
            and with the same defaults: backbone, image_size, unfreeze, batch_size, augment, seed,
            ...

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> found = toolkit.find_lr("./images", backbone="resnet50")
        >>> found.suggestion, found.why
        (0.00064, 'a third of 0.0019, where the loss diverges; no rate lowered it')
    """
    check_whole("--steps", steps, FEWEST)
    path = picture_path(output)
    wrong = [name for name in options if name in NOT_TAKEN]
    if wrong:
        raise TypeError(f"find_lr() does not take finetune's option {wrong[0]!r}")
    given = finetune_arguments(data, options)
    backbones.find(given["backbone"])
    source, clock, reporter = as_source(data), Clock(), Reporter(quiet)
    listing = list_source(source, reporter.progress)
    options_ = make_options(given, source, listing)
    mirror = given["weights_mirror"]
    read = partial(read_images, options_, listing, reporter)
    prepared = prepare(options_, read, mirror, clock, reporter, fit_on_features)
    with tempfile.TemporaryDirectory() as folder:
        trainable = make_trainable(prepared, Path(folder))
    training = read_training_data(prepared, trainable, reporter)
    test = search_learning_rate(training, prepared.table, options_, reporter, steps)
    found = suggest(test)
    with drawn_to(path) as temporary:
        learning_rates(test.learning_rates, test.smoothed, found.value, temporary)
    return LearningRateSearch(found.value, found.why, path, test)
