"""Whether an augmentation turns images into other classes: a probe is asked before training.

The probe is fitted on what the network's middle layers see in each of 3 x 3 parts of an image.
Pooled features, which the main job's probe takes, would not do: networks are trained on mirrored
photos, and mirrored 2s give the features of 2s; and they change more under a shift than these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from toolkit.backbones import LoadedBackbone, stage_layers
from toolkit.cache import DEFAULT_SIZE, parse_size
from toolkit.classifier.engine import Engine, choose_engine
from toolkit.classifier.features import Features, compute_features, compute_views
from toolkit.data.policy_parts import Part, parts_of
from toolkit.data.prepare import Preparation
from toolkit.data.table import TEST, TRAIN, VALIDATION, ImageTable
from toolkit.data.views import Views
from toolkit.evaluation.class_changes import OFTEN, ClassChange, measure_change
from toolkit.probing import sample_images
from toolkit.progress import Reporter
from toolkit.training.probe import STRENGTHS, Probe, fit_probe

FITTED, TESTED, DRAWS = 1000, 200, 2
"""Images that the probe is fitted on and tested with, and draws of each tested one."""

MOST_CLASSES, LEAST_IMAGES = 50, 5
"""The largest classes are tested, of at least so many different images each."""

FITTED_SHARE = 0.7
"""Of a small class; the others are for testing."""

SURE, LEAST_TESTED = 0.8, 10
"""Images are tested whose own class has this probability; so many must be left."""

COARSEST, GRID = 20, 3
"""Layers are taken that have at least 1/20 of the image's resolution, averaged in 3 x 3 parts."""

CACHE_BYTES = parse_size("--cache-size", DEFAULT_SIZE)


class UncheckedError(Exception):
    """The check cannot be made on these images; its text says why."""


@dataclass(frozen=True)
class PolicyCheck:
    """What a policy does to images that the probe is sure of.

    Attributes:
        images: Those that were tested.
        parts: The policy's transforms.
        changes: What each of them does.
        policy: What the whole policy does.
    """

    images: ImageTable
    parts: list[Part]
    changes: list[ClassChange]
    policy: ClassChange


def check_policy(
    policy: str,
    table: ImageTable,
    network: LoadedBackbone,
    preparation: Preparation,
    seed: int,
    reporter: Reporter,
) -> PolicyCheck:
    """Draws from each of a policy's transforms alone, and asks a probe for the draws' classes.

    Args:
        policy: As `choose_policy` gives it, other than "none".
        table: All images; those of a test split that the source gives are left alone.
        network: Looks at them.
        preparation: Of its input.
        seed: Of the draws.
        reporter: Shows how far it is.

    Raises:
        UncheckedError: The images are too few, or the probe is not sure of them.
    """
    images = choose_images(table)
    looks = _Looks.through(network, images, preparation, reporter)
    features = looks.at(images)
    classes = features.table.classes
    fitted, held_out = features.split(TRAIN), features.split(VALIDATION)
    probe = _fit(fitted.values, fitted.table.labels, held_out, STRENGTHS)
    own = _own(probe, held_out)
    sure = own >= SURE
    if sure.sum() < LEAST_TESTED:
        why = f"a probe is sure of {sure.sum()} of the {len(own)} images that it is tested with"
        raise UncheckedError(f"{why}, and {LEAST_TESTED} are needed")
    tested = held_out.table.rows(sure)

    def change(name: str, drawn_policy: str) -> ClassChange:
        draws = looks.at_views(tested, Views(drawn_policy, seed, DRAWS))
        probabilities = np.stack([probe.predict(values) for values in draws])
        return measure_change(name, tested.labels, probabilities, classes)

    def cost(part: Part, found: ClassChange) -> float:
        some = fitted.table.rows(np.arange(0, len(fitted.table), 2))
        (drawn,) = looks.at_views(some, Views(part.policy, seed, 1))
        values = np.concatenate([fitted.values, drawn])
        labels = np.concatenate([fitted.table.labels, some.labels])
        lost = own - _own(_fit(values, labels, held_out, [probe.strength]), held_out)
        touched = np.isin(held_out.table.labels, _often_turned(found, classes))
        return float(lost[sure & touched].mean())

    parts = parts_of(policy, preparation.height, preparation.width)
    whole = Part("the pipeline" if policy.startswith("{") else policy, policy)
    changes = []
    for part in reporter.progress([*parts, whole], len(parts) + 1, "Checking classes"):
        found = change(part.name, part.policy)
        is_offender = found.often and part is not whole
        changes.append(replace(found, cost=cost(part, found)) if is_offender else found)
    return PolicyCheck(tested, parts, changes[:-1], changes[-1])


def choose_images(table: ImageTable) -> ImageTable:
    """Images to fit a probe on ("train"), and to test with ("validation"): by their content.

    Of each class as many, of the largest classes.

    Raises:
        UncheckedError: There are too few.
    """
    _, rows = np.unique(table.digests, return_index=True)  # Sorted by digest.
    rows = rows[table.splits[rows] != TEST]
    counts = np.bincount(table.labels[rows], minlength=len(table.classes))
    largest = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    labels = np.sort(largest[counts[largest] >= LEAST_IMAGES])
    if len(labels) < 2:
        raise UncheckedError(f"it needs two classes of at least {LEAST_IMAGES} different images")
    chosen, splits = [], []
    for label in labels:
        of_class = rows[table.labels[rows] == label]
        fitted = min(FITTED // len(labels), int(FITTED_SHARE * len(of_class)))
        tested = min(TESTED // len(labels), len(of_class) - fitted)
        chosen.append(of_class[: fitted + tested])
        splits += [TRAIN] * fitted + [VALIDATION] * tested
    images = table.rows(np.concatenate(chosen))
    return replace(
        images,
        classes=[table.classes[label] for label in labels],
        labels=np.searchsorted(labels, images.labels),
        splits=np.array(splits, object),
    )


def places_network(network: LoadedBackbone) -> keras.Model:
    """A network up to its middle layers, averaged in 3 x 3 parts of the image: [N, 9 x channels].

    Which part of an image shows what is still in them, unlike in pooled features.
    """
    height = network.model.input_shape[1]
    outputs = [
        layers[-1].output for layers in stage_layers(network.model, network.backbone).values()
    ]
    fine = [out for out in outputs if len(out.shape) == 4 and COARSEST * out.shape[1] >= height]
    sides = fine[-1].shape[1:3]
    strides = [max(1, side // GRID) for side in sides]
    windows = [
        side - (min(GRID, side) - 1) * stride for side, stride in zip(sides, strides, strict=True)
    ]
    parts = keras.layers.AveragePooling2D(windows, strides)(fine[-1])
    outputs = keras.layers.Flatten()(parts)
    return keras.Model(network.model.input, outputs, name=f"{network.model.name}-places")


@dataclass(frozen=True)
class _Looks:
    """What the places network gives for images and their views, cached."""

    model: keras.Model
    preparation: Preparation
    engine: Engine
    reporter: Reporter

    @staticmethod
    def through(
        network: LoadedBackbone, table: ImageTable, preparation: Preparation, reporter: Reporter
    ) -> "_Looks":
        model = places_network(network)
        engine = choose_engine("auto", model, sample_images(table, preparation))
        return _Looks(model, preparation, engine, reporter)

    def at(self, table: ImageTable) -> Features:
        """Those of the images that can be decoded."""
        features = compute_features(
            table,
            self.model,
            self.preparation,
            self.engine,
            self.reporter.progress,
            cache_bytes=CACHE_BYTES,
        )
        self.reporter.problems(features.table.problems[len(table.problems) :])
        return features

    def at_views(self, table: ImageTable, views: Views) -> list[np.ndarray]:
        """[N, D] for each view."""
        stores = compute_views(
            table,
            self.model,
            self.preparation,
            self.engine,
            views,
            lambda items, total, description: items,
            CACHE_BYTES,
            on_disk=False,
        )
        return [store.read(list(table.digests)).astype(np.float32) for store in stores]


def _fit(
    values: np.ndarray, labels: np.ndarray, held_out: Features, strengths: Sequence[float]
) -> Probe:
    count = len(held_out.table.classes)
    return fit_probe(values, labels, held_out.values, held_out.table.labels, count, strengths)


def _own(probe: Probe, features: Features) -> np.ndarray:
    """The probability of each image's own class: float32 [N]."""
    return probe.predict(features.values)[np.arange(len(features.table)), features.table.labels]


def _often_turned(change: ClassChange, classes: list[str]) -> list[int]:
    shares: dict[str, float] = {}
    for name, _, share in change.pairs:
        shares[name] = shares.get(name, 0) + share
    return [classes.index(name) for name, share in shares.items() if share >= OFTEN]
