"""The steps before training, one function each: what jobs have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

import keras

from toolkit import backbones
from toolkit.backbones.standardize import BACKBONE, standardize
from toolkit.classifier.engine import Engine
from toolkit.classifier.features import Features
from toolkit.clock import Clock
from toolkit.data.listing import Listing
from toolkit.data.perceptual_hash import group_near_duplicates
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.splits import check_classes, fix_splits
from toolkit.data.statistics import PixelStatistics, measure_pixels
from toolkit.data.table import TRAIN, ImageTable
from toolkit.options import FeatureOptions, FinetuneOptions
from toolkit.probing import FrozenNetwork, P, Probed, compute_split_features
from toolkit.progress import Reporter
from toolkit.result import summary
from toolkit.run_record import data_digest, run_record
from toolkit.training.probe import Probe

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

    @cached_property
    def digest(self) -> str:
        """Of all images with their labels and splits."""
        return data_digest(self.table)

    def record(self) -> dict[str, Any]:
        """The part of `run.json` that all jobs have."""
        origin, engine = self.network.weights_origin, self.probed.engine
        return {
            **run_record(self.options, self.table, self.digest, self.preparation, origin),
            "normalization": self.statistics and self.statistics.record(),
            "features_computed": self.probed.features.computed,
            "engine": {"features": engine.name, "difference": engine.difference},
        }


Tunable = Prepared[FinetuneOptions, Probe]
"""What fine-tuning starts from."""


def prepare(
    options: Options,
    read: Callable[[], ImageTable],
    mirror: str | None,
    clock: Clock,
    reporter: Reporter,
    fit: Callable[[FrozenNetwork[Options], Features, Engine], Probed[P]],
    layer: str | None = None,
) -> Prepared[Options, P]:
    """Loads the network, reads the images, computes their features and fits the probe.

    Args:
        options: The job's.
        read: Reads the images.
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
        table = read()
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


def read_images(options: FeatureOptions, listing: Listing, reporter: Reporter) -> ImageTable:
    """Reads a listing's images, all that can be, and refuses classes too small to be split."""
    table = scan(listing, options.max_pixels, reporter.progress)
    if options.data.group_near_duplicates:
        table = group_near_duplicates(table, reporter.progress, options.max_pixels)
    check_classes(table)
    return table
