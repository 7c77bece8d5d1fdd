"""The steps before training, one function each: what jobs that train have in common."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import keras

from toolkit import backbones
from toolkit.backbones.standardize import BACKBONE, check_normalization, standardize
from toolkit.cache import parse_size
from toolkit.classifier.engine import check_engine
from toolkit.classifier.model import attach_head, freeze_below, frozen_layers
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
from toolkit.options import FinetuneOptions, count_unfrozen
from toolkit.probing import FrozenNetwork, Probed, compute_split_features, fit_on_features
from toolkit.progress import Reporter
from toolkit.result import summary
from toolkit.training.discriminative import Rate
from toolkit.training.imbalance import choose_imbalance
from toolkit.training.optimizer_entries import find_optimizer
from toolkit.training.stage_rates import first_epochs, stage_rates
from toolkit.tuning import TrainingData, make_training_data


@dataclass(frozen=True)
class Prepared:
    """All that training starts from.

    Attributes:
        options: The job's.
        network: The pretrained one, with the normalization that was asked for.
        statistics: Of the training images' pixels; None where none were asked for.
        frozen: The network as it is run over images.
        probed: The probe, and the features on which it was fitted, with the splits.
    """

    options: FinetuneOptions
    network: backbones.LoadedBackbone
    statistics: PixelStatistics | None
    frozen: FrozenNetwork
    probed: Probed

    @property
    def preparation(self) -> Preparation:
        """What is done to each image."""
        return self.frozen.preparation

    @property
    def table(self) -> ImageTable:
        """The readable images, with their splits."""
        return self.probed.features.table


@dataclass(frozen=True)
class Trainable:
    """The classifier that is to be trained.

    Attributes:
        model: The whole of it: float32 [N, H, W, 3] to probabilities [N, K].
        stages: Names of the backbone's stages that are trained.
        frozen_layers: Those of all other stages.
        starts: The epoch, from 0, in which each trained stage begins to be trained.
        rates: Of variables that are trained more slowly or later than others, by their paths.
    """

    model: keras.Model
    stages: list[str]
    frozen_layers: list[keras.layers.Layer]
    starts: dict[str, int]
    rates: dict[str, Rate]


def make_options(
    given: Mapping[str, Any], source: Source, entry: backbones.Backbone, listing: Listing
) -> FinetuneOptions:
    """The options as they are checked and recorded, out of `finetune`'s arguments.

    Args:
        given: The arguments by their names; others than options are passed over.
        source: The data's.
        entry: The backbone's.
        listing: The data's files.

    Raises:
        OptionError: One has a value that it cannot have.
    """
    values = {field.name: given[field.name] for field in fields(FinetuneOptions)}
    split, folder = given["split"], given["tensorboard"]
    if given["learning_rate"] is None:
        values["learning_rate"] = find_optimizer(given["optimizer"]).learning_rate
    values |= {
        "data": source,
        "backbone": entry.name,
        "weights": os.fspath(given["weights"]),
        "split": split if isinstance(split, str) else tuple(split),
        "unfreeze": entry.unfreeze if given["unfreeze"] is None else given["unfreeze"],
        "time_budget": parse_duration("--time-budget", given["time_budget"]),
        "tensorboard": None if folder is None else os.fspath(folder),
        "augment": choose_policy(given["augment"], listing.flips),
        "cache_size": parse_size("--cache-size", given["cache_size"]),
    }
    options = FinetuneOptions(**values)
    check_crop(options.crop)
    check_normalization(options.normalize)
    check_engine(options.engine)
    count_unfrozen(options.unfreeze, [stage.name for stage in entry.stages])
    return options


def prepare(
    options: FinetuneOptions, listing: Listing, mirror: str | None, clock: Clock, reporter: Reporter
) -> Prepared:
    """Loads the network, reads the images, computes their features and fits the probe.

    Args:
        options: The job's.
        listing: The data's files.
        mirror: See `finetune`'s `weights_mirror`.
        clock: Measures each part.
        reporter: Tells of it.
    """
    load = partial(
        backbones.load,
        options.backbone,
        weights=options.weights,
        image_size=options.image_size,
        mirror=mirror,
    )
    with clock("network"):
        keras.utils.set_random_seed(options.seed)
        network = load()
        _, height, width, _ = network.model.input_shape
        preparation = Preparation(height, width, options.max_pixels, crop=options.crop)
        check_draws(options.augment, height, width)
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
    treatment = choose_imbalance(options.imbalance, features.split(TRAIN).table.labels)
    if treatment.why:
        reporter.say(f"--imbalance {options.imbalance} takes {treatment.name}: {treatment.why}.")
    with clock("probe"):
        probed = fit_on_features(frozen, features, engine)
        reporter.say(f"Probe, {clock.total:.0f} s after the start: {summary(probed.metrics)}")
    return Prepared(options, network, statistics, frozen, probed)


def _read(options: FinetuneOptions, listing: Listing, reporter: Reporter) -> ImageTable:
    table = scan(listing, options.max_pixels, reporter.progress)
    if options.data.group_near_duplicates:
        table = group_near_duplicates(table, reporter.progress, options.max_pixels)
    check_classes(table)
    return table


def make_trainable(prepared: Prepared) -> Trainable:
    """Puts the probe on the network as its head, and freezes what is not to be trained."""
    options, network, probe = prepared.options, prepared.network, prepared.probed.probe
    model = attach_head(network.model, probe.kernel, probe.bias, options.dropout, options.seed)
    stages = backbones.stage_layers(network.model, network.backbone)
    unfrozen = count_unfrozen(options.unfreeze, list(stages))
    trained = freeze_below(model, stages, unfrozen, options.train_batchnorm)
    starts = first_epochs(trained, options.epochs, options.unfreeze_gradually)
    steps = steps_per_epoch(len(prepared.table.split(TRAIN)), options.batch_size)
    rates = stage_rates(stages, starts, options.stage_factor, steps)
    return Trainable(model, trained, frozen_layers(stages, trained), starts, rates)


def read_training_data(
    prepared: Prepared, trainable: Trainable, reporter: Reporter, **changes: Any
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
