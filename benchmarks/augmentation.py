"""Augmentation: the toolkit's batches against Keras' layers and a bare albumentations loop.

All draw the same kinds of change, with the policy `light`: shift, scale and rotation, brightness
and contrast, mirroring. The photos are prepared arrays in memory, so that no file is read.

- *toolkit*: `Views` in a tf.data map over batches of 32, as training draws them: each image's draw
  follows from its content, the seed and the epoch.
- *Keras' layers*: `RandomTranslation`, `RandomZoom`, `RandomRotation`, `RandomBrightness`,
  `RandomContrast` and `RandomFlip` in the same map.
- *albumentations loop*: one `Compose` over the images, one after another, in one thread, with
  random draws.

The second table is the share of a training step: the default top stages are trained on the same
arrays with views, and on the arrays as they are. What is lost is what augmentation costs where the
two overlap; *drawn alone* is the time of the draws by themselves over that of the step.
"""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.folders import own_cache
from benchmarks.images import describe, prepared_images, read_table
from benchmarks.measure import alternate, rate_of
from benchmarks.networks import frozen_network
from benchmarks.outcome import Comparison, Outcome, compare
from benchmarks.settings import Settings
from benchmarks.training import compile_model, fit, make_classifier
from toolkit.classifier.model import logits_model
from toolkit.data.streams import ahead
from toolkit.data.table import ImageTable
from toolkit.data.views import Views, content_numbers
from toolkit.training.fast_convolutions import fast_convolutions

IMAGES = 512
BATCH_SIZE = 32
STEPS = 16
TOOLKIT, LAYERS, LOOP = "toolkit", "Keras' layers", "albumentations loop"
WITH, WITHOUT = "with views", "without"


def run(settings: Settings) -> Outcome:
    """Measures images a second, alone and in training."""
    with own_cache():
        table = read_table(settings, IMAGES)
        frozen, network = frozen_network(settings)
        images = np.concatenate(prepared_images(table, frozen.preparation, BATCH_SIZE))
        views = Views("light", seed=0, count=1)
        viewed = _viewed(images, table, views)
        draw = _keras_layers()
        layered = ahead(_batches(images).map(draw, num_parallel_calls=tf.data.AUTOTUNE))
        loop = _loop(images)
        contestants = {
            LAYERS: rate_of(lambda: _take(layered), len(images)),
            TOOLKIT: rate_of(lambda: _take(viewed), len(images)),
            LOOP: rate_of(loop, len(images)),
        }
        rates = alternate(settings.repetitions, contestants, warm_up=1, say=settings.say)
        options = frozen.options
        model = logits_model(make_classifier(network, 10, options)[0])
        compile_model(model, options, steps=10_000)
        trained = _measure_training(model, images, viewed, settings)
        data = describe(table)
    comparisons = [
        compare("Augmentation alone", "images/s", rates, LAYERS),
        compare("Training of the default top stages", "images/s", trained, WITHOUT),
        _shares(rates[TOOLKIT], trained),
    ]
    height, width = images.shape[1:3]
    return Outcome(data, comparisons, notes=[f"At {height} x {width} pixels."])


def _batches(images: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images).batch(BATCH_SIZE)


def _viewed(images: np.ndarray, table: ImageTable, views: Views) -> tf.data.Dataset:
    contents = content_numbers(table)

    def draw(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return views.draw(images, contents[rows], 0)

    def draw_batch(rows: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        drawn = tf.numpy_function(draw, [batch, rows], tf.float32)
        return tf.ensure_shape(drawn, [None, *images.shape[1:]])

    rows = tf.data.Dataset.range(len(images)).batch(BATCH_SIZE)
    both = tf.data.Dataset.zip((rows, _batches(images)))
    return ahead(both.map(draw_batch, num_parallel_calls=tf.data.AUTOTUNE))


def _keras_layers() -> Callable[[tf.Tensor], tf.Tensor]:
    layers = [
        keras.layers.RandomTranslation(0.06, 0.06, fill_mode="reflect"),
        keras.layers.RandomZoom(0.06, fill_mode="reflect"),
        keras.layers.RandomRotation(10 / 360, fill_mode="reflect"),
        keras.layers.RandomBrightness(0.15),
        keras.layers.RandomContrast(0.15, value_range=(0, 255)),
        keras.layers.RandomFlip("horizontal"),
    ]

    def draw(images: tf.Tensor) -> tf.Tensor:
        for layer in layers:
            images = layer(images, training=True)
        return images

    return draw


def _loop(images: np.ndarray) -> Callable[[], None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albumentations
        import cv2
    move = albumentations.Affine(
        translate_percent=(-0.06, 0.06),
        scale=(0.94, 1.06),
        rotate=(-10, 10),
        border_mode=cv2.BORDER_REFLECT_101,
        p=0.8,
    )
    light = albumentations.RandomBrightnessContrast(0.15, 0.15, p=0.5)
    transform: Any = albumentations.Compose([move, light, albumentations.HorizontalFlip(p=0.5)])
    pixels = np.rint(images).astype(np.uint8)

    def draw() -> None:
        for image in pixels:
            transform(image=image)

    return draw


def _measure_training(
    model: keras.Model, images: np.ndarray, viewed: tf.data.Dataset, settings: Settings
) -> dict[str, list[float]]:
    size = min(BATCH_SIZE, len(images))
    labels = tf.data.Dataset.from_tensors(np.zeros(size, np.int32)).repeat()
    full = len(images) // size
    sources = {WITHOUT: ahead(_batches(images)), WITH: viewed}
    pairs = {
        name: ahead(tf.data.Dataset.zip((each.take(full).repeat(), labels)))
        for name, each in sources.items()
    }
    contestants = {
        name: rate_of(lambda batches=batches: fit(model, batches, STEPS), STEPS * size)  # type: ignore[misc]
        for name, batches in pairs.items()
    }
    with fast_convolutions(model):
        return alternate(settings.repetitions, contestants, warm_up=1, say=settings.say)


def _shares(drawn: list[float], trained: dict[str, list[float]]) -> Comparison:
    rounds = zip(trained[WITH], trained[WITHOUT], drawn, strict=True)
    lost, alone = [], []
    for with_views, without, draws in rounds:
        lost.append(100 * (1 - with_views / without))
        alone.append(100 * with_views / draws)
    values = {"lost by drawing views": lost, "drawn alone": alone}
    return compare("Augmentation's share of a training step", "%", values)


def _take(batches: tf.data.Dataset) -> None:
    for _ in batches:
        pass
