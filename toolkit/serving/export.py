"""A trained classifier as a SavedModel that takes the files' bytes."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from toolkit.data.prepare import Preparation, make_preparer
from toolkit.serving.batch_reader import make_batch_reader


def export_saved_model(
    model: keras.Model,
    classes: Sequence[str],
    preparation: Preparation | Sequence[Preparation],
    folder: Path,
    reject_below: float = 0.0,
) -> None:
    """Writes a SavedModel with decoding, cropping, resizing and normalization inside.

    Its signatures, each giving `probabilities` float32 [N, K], `label` string [N] and `rejected`
    bool [N], whether the highest probability is below the threshold; then the label is "".
    `serving_default` takes `image_bytes`, string [N], encoded JPEG, PNG, BMP, WebP or GIF (first
    frame); `pixels` takes `pixels`, uint8 [N, H, W, 3], RGB of any size. `network` takes images
    that are prepared already, float32 [N, height, width, 3], in each of the model's ways, and gives
    probabilities alone.

    An image that can't be decoded raises `InvalidArgumentError`, which names its place in the
    batch.

    Args:
        model: float32 [N, height, width, 3], values 0 to 255, to probabilities [N, K]. An ensemble
            takes a list of these, an input for each distinct preparation.
        classes: The K classes' names.
        preparation: What was done to the images that the model was trained on; of an ensemble, what
            is done to each image for each input.
        folder: Must not exist.
        reject_below: The threshold; 0: each image gets a label.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    preparations = as_preparations(preparation)
    shapes = [(each.height, each.width, 3) for each in preparations]
    specs = [keras.InputSpec(shape=(None, *shape), dtype="float32") for shape in shapes]
    network = archive.add_endpoint("network", _network(model, len(shapes)), specs)
    names = tf.constant([os.fsencode(name) for name in classes])

    def answer(images: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        count = tf.shape(images[0])[0]
        filled = [_not_empty(*each) for each in zip(images, shapes, strict=True)]
        probabilities = network(*filled)[:count]
        rejected = tf.reduce_max(probabilities, axis=-1) < reject_below
        best = tf.gather(names, tf.argmax(probabilities, axis=-1))
        label = tf.where(rejected, "", best)
        return {"probabilities": probabilities, "label": label, "rejected": rejected}

    archive.add_endpoint("serving_default", _bytes_endpoint(answer, preparations))
    archive.add_endpoint("pixels", _pixels_endpoint(answer, preparations))
    archive.write_out(folder, verbose=False)


def as_preparations(preparation: Preparation | Sequence[Preparation]) -> tuple[Preparation, ...]:
    """Of a model with one input, or of an ensemble with several."""
    return (preparation,) if isinstance(preparation, Preparation) else tuple(preparation)


def _network(model: keras.Model, inputs: int) -> Callable:
    if inputs == 1:
        return lambda images: model(images, training=False)
    return lambda *images: model(list(images), training=False)


def _not_empty(images: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """The network itself cannot take a batch without images."""
    return tf.cond(tf.shape(images)[0] > 0, lambda: images, lambda: tf.zeros([1, *shape]))


def _bytes_endpoint(answer: Callable, preparations: Sequence[Preparation]) -> Callable:
    read = make_batch_reader(preparations)

    def respond(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(read(image_bytes))

    return _traced(respond, "image_bytes", [], tf.string)


def _pixels_endpoint(answer: Callable, preparations: Sequence[Preparation]) -> Callable:
    def prepare(pixels: tf.Tensor, preparation: Preparation) -> tf.Tensor:
        image = tf.TensorSpec([preparation.height, preparation.width, 3], tf.float32)
        return tf.map_fn(make_preparer(preparation), pixels, fn_output_signature=image)

    def respond(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer([prepare(pixels, preparation) for preparation in preparations])

    return _traced(respond, "pixels", [None, None, 3], tf.uint8)


def _traced(function: Callable, name: str, shape: list, dtype: tf.DType) -> Callable:
    """A `tf.function` whose one argument has a name that clients use."""
    spec = tf.TensorSpec([None, *shape], dtype, name=name)
    traced = tf.function(function, input_signature=[spec])
    traced.get_concrete_function()
    return traced
