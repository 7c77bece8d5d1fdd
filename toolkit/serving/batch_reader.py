"""Encoded images to a batch for the network, as TensorFlow operations: as in training."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from toolkit.data.prepare import Preparation
from toolkit.data.read import make_joint_reader


def make_batch_reader(
    preparations: Sequence[Preparation],
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Makes the function that decodes and prepares a batch, several images at a time.

    Args:
        preparations: Of each of the network's inputs.

    Returns:
        A function from encoded images, string [N], to float32 [N, height, width, 3], one array for
        each preparation. It raises `InvalidArgumentError` with the places in the batch of all that
        can't be decoded.
    """
    read_image = make_joint_reader(preparations)
    blanks = [tf.zeros([each.height, each.width, 3]) for each in preparations]

    def read(image_bytes: tf.Tensor) -> list[tf.Tensor]:
        count = tf.size(image_bytes, tf.int64)
        images = tf.data.Dataset.from_tensor_slices(image_bytes).enumerate()
        images = images.map(
            lambda place, data: (place, *read_image(data)), num_parallel_calls=tf.data.AUTOTUNE
        )
        # An image in front keeps the batch from being empty where none can be decoded.
        first = tf.data.Dataset.from_tensors((tf.constant(-1, tf.int64), *blanks))
        read_images = first.concatenate(images.ignore_errors()).batch(count + 1)
        places, *prepared = read_images.get_single_element()
        with tf.control_dependencies([_assert_all(places[1:], count)]):
            return [
                tf.ensure_shape(images[1:], [None, *blank.shape])
                for images, blank in zip(prepared, blanks, strict=True)
            ]

    return read


def _assert_all(places: tf.Tensor, count: tf.Tensor) -> tf.Operation:
    missing = tf.sets.difference(tf.range(count)[None], places[None]).values
    message = "no readable JPEG, PNG, BMP, WebP or GIF image at these places of the batch (from 0):"
    return tf.debugging.Assert(tf.size(missing) == 0, [message, missing], summarize=100)
