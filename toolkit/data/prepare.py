"""Decoded images to the network's size, as TensorFlow operations."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from toolkit.data.decode import MAX_PIXELS


@dataclass(frozen=True)
class Preparation:
    """What is done to an image before the network sees it; part of the cache's key and the bundle.

    Attributes:
        height: Of the network's input, in pixels.
        width: Of the network's input, in pixels.
        max_pixels: Images with more pixels are refused before they are decoded.
        version: Raised when the operations change, so that older cached features are not used.
    """

    height: int
    width: int
    max_pixels: int = MAX_PIXELS
    version: int = 1

    @property
    def key(self) -> str:
        """Names all that decides the prepared pixels."""
        return f"v{self.version}-center-antialias-{self.height}x{self.width}"


def make_preparer(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that crops and resizes one image.

    Returns:
        A function from uint8 [H, W, 3] to float32 [height, width, 3], values 0 to 255: the largest
        centred part with the network's aspect ratio, resized bilinearly, with antialiasing where
        it shrinks.
    """
    height, width = preparation.height, preparation.width

    def prepare(image: tf.Tensor) -> tf.Tensor:
        cropped = _center_crop(image, height, width)
        resized = tf.image.resize(cropped, [height, width], antialias=True)
        return tf.ensure_shape(tf.clip_by_value(resized, 0.0, 255.0), [height, width, 3])

    return prepare


def _center_crop(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    shape = tf.cast(tf.shape(image), tf.int64)
    rows = tf.maximum(tf.minimum(shape[0], shape[1] * height // width), 1)
    columns = tf.maximum(tf.minimum(shape[1], shape[0] * width // height), 1)
    top, left = (shape[0] - rows) // 2, (shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]
