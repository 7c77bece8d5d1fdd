"""The steps before training, one function each: what jobs have in common."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import keras

from toolkit import backbones
from toolkit.backbones.pooling import check_pooling
from toolkit.backbones.standardize import BACKBONE, check_normalization, standardize
from toolkit.cache import parse_size
from toolkit.classifier.engine import Engine, check_engine
from toolkit.classifier.features import Features
from toolkit.classifier.model import freeze_below, frozen_layers
from toolkit.clock import Clock, parse_duration
from toolkit.data.batches import steps_per_epoch
from toolkit.data.listing import Listing
from toolkit.data.perceptual_hash import group_near_duplicates
from toolkit.data.policies import check_draws, choose_policy
from toolkit.data.prepare import Preparation, check_crop
from toolkit.data.scan import scan
from toolkit.data.source import Source
from toolkit.data.splits import check_classes, fix_splits
from toolkit.data.statistics import PixelStatistics, measure_pixels
from toolkit.data.table import TRAIN, ImageTable
from toolkit.head_start import start_head
from toolkit.option_checks import count_unfrozen
from toolkit.options import FeatureOptions, FinetuneOptions
from toolkit.probing import FrozenNetwork, P, Probed, compute_split_features
from toolkit.progress import Reporter
from toolkit.result import summary
from toolkit.training.discriminative import Rate
from toolkit.training.optimizer_entries import find_optimizer
from toolkit.training.probe import Probe
from toolkit.training.stage_rates import first_epochs, stage_rates
from toolkit.tuning import TrainingData, make_training_data

Options = TypeVar("Options", bound=FeatureOptions)


@dataclass(frozen=True)
class Prepared(Generic[Options, P]):
    """What all jobs start from: a frozen network, and a probe on its features.

    Attributes:
        network: The pretrained one, with the normalization that was asked for.
        statistics: Of the training images' pixels; None where none were asked for.
        frozen: The network as it is run over images.
        probed: The probe, and the features on which it was fitted, with the splits.
    """

    network: backbones.LoadedBackbone
    statistics: PixelStatistics | None
    frozen: FrozenNetwork[Options]
    probed: Probed[P]

    @property
    def options(self) -> Options:
        """The job's."""
        return self.frozen.options

    @property
    def preparation(self) -> Preparation:
        """What is done to each image."""
        return self.frozen.preparation

    @property
    def table(self) -> ImageTable:
        """The readable images, with their splits."""
        return self.probed.features.table


Tunable = Prepared[FinetuneOptions, Probe]
"""What fine-tuning starts from."""


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


def feature_values(given: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The values of `FeatureOptions` as they are checked and recorded.

    Args:
        given: A job's arguments by their names; others than these options are passed over.
        source: The data's.

    Raises:
        OptionError: One has a value that it cannot have.
    """
    values = {field.name: given[field.name] for field in fields(FeatureOptions)}
    split = given["split"]
    check_crop(given["crop"])
    check_normalization(given["normalize"])
    check_pooling(given["pooling"])
    check_engine(given["engine"])
    return values | {
        "data": source,
        "backbone": backbones.find(given["backbone"]).name,
        "weights": os.fspath(given["weights"]),
        "split": split if isinstance(split, str) else tuple(split),
        "cache_size": parse_size("--cache-size", given["cache_size"]),
    }


def make_options(given: Mapping[str, Any], source: Source, listing: Listing) -> FinetuneOptions:
    """The options as they are checked and recorded, out of `finetune`'s arguments.

    Args:
        given: The arguments by their names; others than options are passed over.
        source: The data's.
        listing: The data's files.

    Raises:
        OptionError: One has a value that it cannot have.
    """
    entry = backbones.find(given["backbone"])
    values = {field.name: given[field.name] for field in fields(FinetuneOptions)}
    values |= feature_values(given, source)
    if given["learning_rate"] is None:
        values["learning_rate"] = find_optimizer(given["optimizer"]).learning_rate
    folder = given["tensorboard"]
    values |= {
        "unfreeze": entry.unfreeze if given["unfreeze"] is None else given["unfreeze"],
        "time_budget": parse_duration("--time-budget", given["time_budget"]),
        "tensorboard": None if folder is None else os.fspath(folder),
        "augment": choose_policy(given["augment"], listing.flips),
    }
    options = FinetuneOptions(**values)
    count_unfrozen(options.unfreeze, [stage.name for stage in entry.stages])
    check_draws(options.augment, *backbones.input_shape(entry, options.image_size))
    return options


def prepare(
    options: Options,
    listing: Listing,
    mirror: str | None,
    clock: Clock,
    reporter: Reporter,
    fit: Callable[[FrozenNetwork[Options], Features, Engine], Probed[P]],
    layer: str | None = None,
) -> Prepared[Options, P]:
    """Loads the network, reads the images, computes their features and fits the probe.

    Args:
        options: The job's.
        listing: The data's files.
        mirror: See `finetune`'s `weights_mirror`.
        clock: Measures each part.
        reporter: Tells of it.
        fit: Fits the probe on the training split's features.
        layer: Whose output the features are; by default the network's last.
    """
    load = partial(
        backbones.load,
        options.backbone,
        weights=options.weights,
        image_size=options.image_size,
        mirror=mirror,
        pooling=options.pooling,
        layer=layer,
    )
    with clock("network"):
        keras.utils.set_random_seed(options.seed)
        network = load()
        _, height, width, _ = network.model.input_shape
        preparation = Preparation(height, width, options.max_pixels, crop=options.crop)
    with clock("images"):
        table = _read(options, listing, reporter)
    statistics = None
    if options.normalize != BACKBONE:
        with clock("normalization"):
            # Split first: nothing may be learned from validation and test.
            table = fix_splits(table, options.split, options.seed)
            statistics = measure_pixels(table.split(TRAIN), preparation, reporter.progress)
            network = load(standardize=partial(standardize, options.normalize, statistics))
    frozen = FrozenNetwork(network.model, preparation, options, reporter)
    with clock("features"):
        engine = frozen.engine(options.engine, table)
        features = compute_split_features(frozen, table, engine)
    with clock("probe"):
        probed = fit(frozen, features, engine)
        reporter.say(f"Probe, {clock.total:.0f} s after the start: {summary(probed.metrics)}")
    return Prepared(network, statistics, frozen, probed)


def _read(options: FeatureOptions, listing: Listing, reporter: Reporter) -> ImageTable:
    table = scan(listing, options.max_pixels, reporter.progress)
    if options.data.group_near_duplicates:
        table = group_near_duplicates(table, reporter.progress, options.max_pixels)
    check_classes(table)
    return table


def make_trainable(prepared: Tunable, folder: Path) -> Trainable:
    """Puts a head on the network, and freezes what is not to be trained.

    Args:
        prepared: What training starts from.
        folder: Where the training of a head alone keeps its state.
    """
    options, network = prepared.options, prepared.network
    start = start_head(prepared.frozen, prepared.probed, folder)
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
    prepared: Tunable, trainable: Trainable, reporter: Reporter, **changes: Any
) -> TrainingData:
    """What the fit loop reads, cached views computed where it takes them.

    Args:
        prepared: What training starts from.
        trainable: The classifier.
        reporter: Tells of it.
        changes: Options that are other than the job's.
    """
    options = replace(prepared.options, **changes)
    return make_training_data(
        trainable.model,
        trainable.frozen_layers,
        prepared.table,
        replace(prepared.frozen, options=options, reporter=reporter),
        prepared.probed.engine,
    )
