"""The classifier that is to be trained, and what its training reads."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit import backbones
from toolkit.classifier.model import freeze_below, frozen_layers
from toolkit.data.order import steps_per_epoch
from toolkit.data.table import TRAIN
from toolkit.head_start import start_head
from toolkit.option_checks import count_unfrozen
from toolkit.preparing import Tunable
from toolkit.progress import Reporter
from toolkit.training.discriminative import Rate
from toolkit.training.stage_rates import first_epochs, stage_rates
from toolkit.training.time_budget import TimeBudget
from toolkit.tuning import TrainingData, make_training_data


@dataclass(frozen=True)
class Trainable:
    """The classifier that is to be trained.

    Attributes:
        model: The whole of it: float32 [N, H, W, 3] to probabilities [N, K].
        metrics: What it gives for validation as it is: the probe's, or those of a trained head.
        stages: Names of the backbone's stages that are trained.
        frozen_layers: Those of all other stages.
        starts: The epoch, from 0, in which each trained stage begins to be trained.
        rates: Of variables that are trained more slowly or later than others, by their paths.
    """

    model: keras.Model
    metrics: dict[str, Any]
    stages: list[str]
    frozen_layers: list[keras.layers.Layer]
    starts: dict[str, int]
    rates: dict[str, Rate]


def make_trainable(prepared: Tunable, folder: Path, budget: TimeBudget | None = None) -> Trainable:
    """Puts a head on the network, and freezes what is not to be trained.

    Args:
        prepared: What training starts from.
        folder: Where the training of a head alone keeps its state.
        budget: The job's, which ends that training, too.
    """
    options, network = prepared.options, prepared.network
    start = start_head(prepared.frozen, prepared.probed, folder, budget)
    stages = backbones.stage_layers(network.model, network.backbone)
    unfrozen = count_unfrozen(options.unfreeze, list(stages))
    trained = freeze_below(start.model, stages, unfrozen, options.train_batchnorm)
    images = len(prepared.table.split(TRAIN))
    starts = first_epochs(trained, options.epochs_for(images), options.unfreeze_gradually)
    steps = steps_per_epoch(images, options.batch_size)
    rates = stage_rates(stages, starts, options.stage_factor, steps)
    frozen = frozen_layers(stages, trained)
    return Trainable(start.model, start.metrics, trained, frozen, starts, rates)


def read_training_data(
    prepared: Tunable,
    trainable: Trainable,
    reporter: Reporter,
    teacher: np.ndarray | None = None,
    **changes: Any,
) -> TrainingData:
    """What the fit loop reads, cached views computed where it takes them.

    Args:
        prepared: What training starts from.
        trainable: The classifier.
        reporter: Tells of it.
        teacher: See `make_training_data`.
        changes: Options that are other than the job's.
    """
    options = replace(prepared.options, **changes)
    return make_training_data(
        trainable.model,
        trainable.frozen_layers,
        prepared.table,
        replace(prepared.frozen, options=options, reporter=reporter),
        prepared.probed.engine,
        teacher,
    )
