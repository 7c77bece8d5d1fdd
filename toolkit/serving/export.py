"""A trained classifier as a SavedModel that takes the files' bytes."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from toolkit.data.prepare import Preparation, make_preparer
from toolkit.serving.batch_reader import make_batch_reader


def export_saved_model(
    model: keras.Model, classes: Sequence[str], preparation: Preparation, folder: Path
) -> None:
    """Writes a SavedModel with decoding, cropping, resizing and normalization inside.

    Its signatures, each giving `probabilities` float32 [N, K] and `label` string [N]:
    `serving_default` takes `image_bytes`, string [N], encoded JPEG, PNG, BMP, WebP or GIF (first
    frame); `pixels` takes `pixels`, uint8 [N, H, W, 3], RGB of any size. `network` takes images
    that are prepared already, float32 [N, height, width, 3], and gives probabilities alone.

    An image that can't be decoded raises `InvalidArgumentError`, which names its place in the
    batch.

    Args:
        model: float32 [N, height, width, 3], values 0 to 255, to probabilities [N, K].
        classes: The K classes' names.
        preparation: What was done to the images that the model was trained on.
        folder: Must not exist.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    shape = (None, preparation.height, preparation.width, 3)
    network = archive.add_endpoint(
        "network",
        lambda images: model(images, training=False),
        [keras.InputSpec(shape=shape, dtype="float32")],
    )
    names = tf.constant([os.fsencode(name) for name in classes])

    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        count = tf.shape(images)[0]
        # The network itself cannot take a batch without images.
        filled = tf.cond(count > 0, lambda: images, lambda: tf.zeros([1, *shape[1:]]))
        probabilities = network(filled)[:count]
        label = tf.gather(names, tf.argmax(probabilities, axis=-1))
        return {"probabilities": probabilities, "label": label}

    archive.add_endpoint("serving_default", _bytes_endpoint(answer, preparation))
    archive.add_endpoint("pixels", _pixels_endpoint(answer, preparation))
    archive.write_out(folder, verbose=False)


def _bytes_endpoint(answer: Callable, preparation: Preparation) -> Callable:
    prepare = make_batch_reader(preparation)
    return _traced(lambda image_bytes: answer(prepare(image_bytes)), "image_bytes", [], tf.string)


def _pixels_endpoint(answer: Callable, preparation: Preparation) -> Callable:
    prepare = make_preparer(preparation)
    image = tf.TensorSpec([preparation.height, preparation.width, 3], tf.float32)

    def respond(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(tf.map_fn(prepare, pixels, fn_output_signature=image))

    return _traced(respond, "pixels", [None, None, 3], tf.uint8)


def _traced(function: Callable, name: str, shape: list, dtype: tf.DType) -> Callable:
    """A `tf.function` whose one argument has a name that clients use."""
    spec = tf.TensorSpec([None, *shape], dtype, name=name)
    traced = tf.function(function, input_signature=[spec])
    traced.get_concrete_function()
    return traced
