"""The cheap answer first: features by the fastest engine, and a probe on them."""

import functools
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import keras
import numpy as np

from toolkit.classifier.engine import (
    FLOAT32,
    ROUNDING,
    Engine,
    Sample,
    choose_engine,
)
from toolkit.classifier.features import Features, compute_features
from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.splits import check_classes
from toolkit.data.table import TRAIN, VALIDATION, ImageTable
from toolkit.evaluation.validation import measure_validation
from toolkit.options import FeatureOptions, FinetuneOptions
from toolkit.progress import Reporter
from toolkit.training.imbalance import choose_imbalance, probe_weights
from toolkit.training.kept_probe import fit_probe_once
from toolkit.training.probe import Probe

LARGEST_CHANGE = 0.002
"""Of validation accuracy, that the engine's rounding may make."""

SAMPLED_ROWS = 64
SAMPLED_IMAGES = 16


Options = TypeVar("Options", bound=FeatureOptions, covariant=True)


@dataclass(frozen=True)
class FrozenNetwork(Generic[Options]):
    """A network that is run over images as it is.

    Attributes:
        model: float32 [N, H, W, 3], values 0 to 255, to features [N, ...].
        preparation: How its input is made.
        options: Of the job.
        reporter: Shows how far it is.
    """

    model: keras.Model
    preparation: Preparation
    options: Options
    reporter: Reporter
    _samples: dict[str, Sample] = field(default_factory=dict, init=False, repr=False)

    def engine(self, name: str, table: ImageTable) -> Engine:
        """The engine of a name, compared with Keras on a few of a table's images."""
        keep = self.options.cache_size > 0
        return choose_engine(name, self.model, self._sample(table), keep)

    def features(self, table: ImageTable, engine: Engine, **how: Any) -> Features:
        """What the network gives for a table's images."""
        how = {"cache_bytes": self.options.cache_size, **how}
        return compute_features(
            table, self.model, self.preparation, engine, self.reporter.progress, **how
        )

    def exact(
        self, features: Features, engine: Engine, table: ImageTable, description: str
    ) -> Features:
        """The same features as the model that is served gives them, to float32's rounding.

        Args:
            features: Some, as an engine gave them.
            engine: That engine.
            table: All images: the exact engine is compared with Keras on a few of them.
            description: What progress says.
        """
        if engine.name not in ROUNDING:
            return features
        exact_engine = self.engine(FLOAT32, table)
        return self.features(features.table, exact_engine, description=description)

    def _sample(self, table: ImageTable) -> Sample:
        sample = sample_images(table, self.preparation)
        return self._samples.setdefault(sample.key, sample)


def sample_images(table: ImageTable, preparation: Preparation) -> Sample:
    """A few of a table's images, prepared, to compare an engine with Keras on."""
    # By digest: of all classes, and hardly others when images are added.
    rows = heapq.nsmallest(SAMPLED_ROWS, range(len(table)), key=table.digests.__getitem__)
    some = table.rows(np.array(rows, np.int64))

    def read() -> np.ndarray:
        blank = np.zeros([1, preparation.height, preparation.width, 3], np.float32)
        batches = image_batches(some, preparation, SAMPLED_IMAGES)
        return next((images for _, images in batches), blank)

    return Sample(" ".join([preparation.key, *some.digests]), functools.cache(read))


class Predictor(Protocol):
    """What is fitted on features."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float32 [N, K] for features [N, D]."""

    def scaled(self, factor: float) -> Self:
        """The same with logits that are multiplied by a factor."""


P = TypeVar("P", bound=Predictor)


@dataclass(frozen=True)
class Probed(Generic[P]):
    """A probe and what it was fitted on.

    Attributes:
        engine: What computed the features.
        features: Of all images, with their splits.
        probe: Fitted on those of the training split.
        metrics: Measured on exact features of the validation split.
        validation: Those features.
    """

    engine: Engine
    features: Features
    probe: P
    metrics: dict[str, Any]
    validation: Features


def compute_split_features(frozen: FrozenNetwork, table: ImageTable, engine: Engine) -> Features:
    """Features of all readable images, shared out into the splits."""
    features = frozen.features(table, engine)
    frozen.reporter.problems(features.table.problems)
    check_classes(features.table)
    return features.with_splits(frozen.options.split, frozen.options.seed)


def fit_on_features(
    frozen: FrozenNetwork[FinetuneOptions], features: Features, engine: Engine
) -> Probed[Probe]:
    """Fits the probe of the main job, see `fit_checked`."""
    imbalance = frozen.options.imbalance
    treatment = choose_imbalance(imbalance, features.split(TRAIN).table.labels)
    if treatment.why:
        frozen.reporter.say(f"--imbalance {imbalance} takes {treatment.name}: {treatment.why}.")
    return fit_checked(frozen, features, engine, functools.partial(_fit, frozen))


def fit_checked(
    frozen: FrozenNetwork, features: Features, engine: Engine, fit: Callable[[Features], P]
) -> Probed[P]:
    """Fits a probe; where bfloat16 changes its accuracy, once more on float32 features.

    Args:
        frozen: The network, whose exact features the probe is measured on.
        features: Of all images, with their splits.
        engine: What has computed them.
        fit: Fits on the training split of features that it is given.
    """
    validation = features.split(VALIDATION)
    exact = frozen.exact(validation, engine, features.table, "Checking features")
    probe = fit(features)
    labels = validation.table.labels
    probabilities = probe.predict(exact.values)
    if exact is not validation:
        change = _sure_change(
            probe.predict(validation.values).argmax(axis=1) == labels,
            probabilities.argmax(axis=1) == labels,
        )
        if change > LARGEST_CHANGE:
            frozen.reporter.say(
                f"{engine.name} changes the probe's validation accuracy by {change:.2%} or more: "
                "features are computed again in float32."
            )
            engine = frozen.engine(FLOAT32, features.table)
            again = replace(features, store=frozen.features(features.table, engine).store)
            return fit_checked(frozen, again, engine, fit)
    classes = features.table.classes
    metrics = measure_validation(labels, probabilities, classes)
    return Probed(engine, features, probe, metrics, exact)


def _sure_change(rounded: np.ndarray, exact: np.ndarray) -> float:
    """How much rounding changes accuracy at least, 0 to 1: the lower end of a 95 % interval.

    Args:
        rounded: Which images are right with rounded features: bool [N].
        exact: Which are with exact ones.

    See Wald's interval for paired proportions, in Agresti, "Categorical Data Analysis", 11.1.
    """
    difference = rounded.astype(float) - exact
    return float(abs(difference.mean()) - 1.96 * difference.std() / np.sqrt(len(difference)))


def _fit(frozen: FrozenNetwork[FinetuneOptions], features: Features) -> Probe:
    train, validation = features.split(TRAIN), features.split(VALIDATION)
    labels, classes = train.table.labels, len(features.table.classes)
    return fit_probe_once(
        train.values,
        labels,
        validation.values,
        validation.table.labels,
        classes,
        probe_weights(frozen.options.imbalance, labels, classes),
        network=frozen.model.name,
        keep=frozen.options.cache_size > 0,
    )
