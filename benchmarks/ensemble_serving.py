"""Serving ensembles: the SavedModel of three networks against its networks alone.

- *SavedModel, bytes in*: `serving_default` of an ensemble, as `toolkit ensemble` saves it:
  decoding, preparation, three networks, their average.
- *networks and one decoding*: a photo is decoded once, by a graph of its own, and prepared images
  go through the `network` of each member's own SavedModel, one after another.

Once the three have one preparation (three times the backbone, at its own size), and once each has
its own: EfficientNet-Lite0, Lite1 and Lite2. Weights are random, which costs the same. Latency is
the median of a round's requests of one photo each, over different photos; all in this process,
without HTTP; one round is not counted.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.folders import temporary_folder
from benchmarks.images import describe, paths, read_table
from benchmarks.measure import alternate
from benchmarks.outcome import Comparison, Outcome, compare
from benchmarks.serving import CLASSES, IMAGES, median_latency
from benchmarks.settings import Settings
from toolkit import backbones
from toolkit.classifier.model import attach_head
from toolkit.data.prepare import Preparation
from toolkit.ensembles.average import ARITHMETIC
from toolkit.serving.batch_reader import make_batch_reader
from toolkit.serving.export import export_saved_model
from toolkit.serving.joined import Part, join_models

MEMBERS = 3
OWN_SIZES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
BUNDLE, PARTS = "SavedModel, bytes in", "networks and one decoding"
REQUESTS = 4
"""In a round: rounds are short, so that what slows the machine strikes both contestants."""
MAX_PIXELS = 10**8

Request = Callable[[bytes], object]


def run(settings: Settings) -> Outcome:
    """Measures the latency of one photo."""
    table = read_table(settings, IMAGES)
    encoded = [file.read_bytes() for file in paths(table)]
    alike = [settings.backbone] * MEMBERS
    comparisons = [
        _compare("One preparation", alike, encoded, settings),
        _compare("Three preparations", OWN_SIZES, encoded, settings),
    ]
    return Outcome(describe(table), comparisons, notes=["A ratio of at most 1.05 is aimed at."])


def _compare(
    title: str, names: Sequence[str], encoded: list[bytes], settings: Settings
) -> Comparison:
    parts = [_make_part(name, seed, settings) for seed, name in enumerate(names)]
    with temporary_folder() as folder:
        requests = {PARTS: _parts_request(parts, folder), BUNDLE: _bundle_request(parts, folder)}
        contestants = {
            name: (lambda request=request: median_latency(request, encoded, REQUESTS))
            for name, request in requests.items()
        }
        rounds = alternate(settings.repetitions, contestants, warm_up=1, say=settings.say)
    return compare(f"{title}, latency of one photo", "ms", rounds, PARTS)


def _make_part(name: str, seed: int, settings: Settings) -> Part:
    keras.utils.set_random_seed(seed)
    network = backbones.load(name, weights="random", image_size=settings.image_size).model
    kernel = np.random.default_rng(seed).normal(size=[network.output_shape[-1], len(CLASSES)])
    model = attach_head(network, kernel.astype(np.float32), np.zeros(len(CLASSES), np.float32))
    height, width = network.input_shape[1:3]
    preparation = Preparation(height, width, MAX_PIXELS)
    return Part(model, [preparation], np.arange(len(CLASSES)), 1 / MEMBERS)


def _bundle_request(parts: Sequence[Part], folder: Path) -> Request:
    model, preparations = join_models(parts, ARITHMETIC)
    loaded = _exported(model, preparations, folder / "ensemble")
    return lambda data: loaded.serving_default(tf.constant([data]))["probabilities"].numpy()


def _parts_request(parts: Sequence[Part], folder: Path) -> Request:
    exported = [
        _exported(part.model, part.preparations, folder / str(number))
        for number, part in enumerate(parts)
    ]
    preparations = [part.preparations[0] for part in parts]
    largest = max(preparations, key=lambda each: each.height)
    spec = [tf.TensorSpec([None], tf.string)]
    read = tf.function(make_batch_reader([largest]), input_signature=spec)
    prepared = [tf.zeros([1, each.height, each.width, 3]) for each in preparations]

    def request(data: bytes) -> list[np.ndarray]:
        [decoded] = read(tf.constant([data]))
        inputs = [decoded if each.shape == decoded.shape else each for each in prepared]
        return [own.network(each).numpy() for own, each in zip(exported, inputs, strict=True)]

    return request


def _exported(model: keras.Model, preparations: Sequence[Preparation], folder: Path) -> Any:
    export_saved_model(model, CLASSES, preparations, folder)
    return tf.saved_model.load(str(folder))
