"""Serving: a bundle's SavedModel, from a file's bytes to probabilities, against its parts.

- *SavedModel, bytes in*: `serving_default`, as TensorFlow Serving runs it: decoding, EXIF, crop,
  resize, network.
- *network alone*: the same SavedModel's `network` on images that are prepared already.
- *decoding alone*: the same decoding and preparation as a graph of its own.
- *Pillow and model.predict*: what a Python service without the SavedModel does: `Image.open`,
  `ImageOps.fit`, NumPy, `keras.Model.predict`.

The network has ten classes and an untrained head, which costs as much as a trained one. Latency is
the median of a round's requests of one photo each, over different photos; throughput is that of
requests of 32 photos. All in this process, without HTTP; one round is not counted.
"""

import io
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from benchmarks.folders import own_cache, temporary_folder
from benchmarks.images import describe, paths, prepared_images, read_table
from benchmarks.measure import alternate
from benchmarks.networks import frozen_network
from benchmarks.outcome import Outcome, compare
from benchmarks.settings import Settings
from benchmarks.training import make_classifier
from toolkit.data.prepare import Preparation
from toolkit.serving.export import export_saved_model, make_batch_reader

CLASSES = [str(number) for number in range(10)]
IMAGES = 128
REQUESTS = 30
BATCH_SIZE = 32
BATCHES = 4
BUNDLE, NETWORK, DECODING = "SavedModel, bytes in", "network alone", "decoding alone"
PILLOW = "Pillow and model.predict"

Request = Callable[[Any], object]


def run(settings: Settings) -> Outcome:
    """Measures latency of one photo, and throughput of 32."""
    with own_cache(), temporary_folder() as folder:
        table = read_table(settings, IMAGES)
        frozen, network = frozen_network(settings)
        model, _ = make_classifier(network, len(CLASSES), frozen.options)
        saved_model = folder / "model"
        export_saved_model(model, CLASSES, frozen.preparation, saved_model)
        loaded = tf.saved_model.load(str(saved_model))
        encoded = [file.read_bytes() for file in paths(table)]
        images = np.concatenate(prepared_images(table, frozen.preparation, BATCH_SIZE))
        requests: dict[str, tuple[Request, Any]] = {
            PILLOW: (_pillow_request(model, frozen.preparation), encoded),
            BUNDLE: (_bundle_request(loaded), encoded),
            NETWORK: (lambda batch: loaded.network(tf.constant(batch)).numpy(), images),
            DECODING: (_decoding_request(frozen.preparation), encoded),
        }
        latency = _alternate(requests, _latency, settings)
        throughput = _alternate(requests, _throughput, settings)
        data = describe(table)
    comparisons = [
        compare("Latency, one photo", "ms", latency, PILLOW),
        compare(f"Throughput, {BATCH_SIZE} photos a request", "images/s", throughput, PILLOW),
    ]
    height, width = images.shape[1:3]
    return Outcome(data, comparisons, notes=[f"To {height} x {width} pixels."])


def _alternate(
    requests: dict[str, tuple[Request, Any]],
    measure: Callable[[Request, Any], float],
    settings: Settings,
) -> dict[str, list[float]]:
    contestants = {
        name: (lambda request=request, inputs=inputs: measure(request, inputs))
        for name, (request, inputs) in requests.items()
    }
    return alternate(settings.repetitions, contestants, warm_up=1, say=settings.say)


def _latency(request: Request, inputs: Any) -> float:
    return median_latency(request, [inputs[k : k + 1] for k in range(len(inputs))], REQUESTS)


def median_latency(request: Request, inputs: Sequence[Any], requests: int) -> float:
    """Milliseconds of a request: the median of some, each with another of the inputs."""
    seconds = []
    for each in itertools.islice(itertools.cycle(inputs), requests):
        start = time.perf_counter()
        request(each)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


def _throughput(request: Request, inputs: Any) -> float:
    count = 0
    start = time.perf_counter()
    for number in range(BATCHES):
        first = number * BATCH_SIZE % max(1, len(inputs) - BATCH_SIZE + 1)
        batch = inputs[first : first + BATCH_SIZE]
        request(batch)
        count += len(batch)
    return count / (time.perf_counter() - start)


def _bundle_request(loaded: Any) -> Request:
    serve = loaded.signatures["serving_default"]
    return lambda data: serve(image_bytes=tf.constant(data))["probabilities"].numpy()


def _decoding_request(preparation: Preparation) -> Request:
    spec = [tf.TensorSpec([None], tf.string)]
    read = tf.function(make_batch_reader([preparation]), input_signature=spec)
    return lambda data: read(tf.constant(data))[0].numpy()


def _pillow_request(model: keras.Model, preparation: Preparation) -> Request:
    size = preparation.width, preparation.height

    def read(data: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(data)) as image:
            fitted = ImageOps.fit(image.convert("RGB"), size, Image.Resampling.BILINEAR)
        return np.asarray(fitted, np.float32)

    return lambda data: model.predict(np.stack([read(each) for each in data]), verbose=0)
