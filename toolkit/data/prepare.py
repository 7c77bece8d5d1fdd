"""Decoded images to the network's size, as TensorFlow operations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
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
    version: int = 2

    @property
    def size(self) -> np.ndarray:
        """(height, width): int64 [2]."""
        return np.array([self.height, self.width])

    @property
    def key(self) -> str:
        """Names all that decides the prepared pixels."""
        return f"v{self.version}-center-area-{self.height}x{self.width}"


def make_preparer(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that crops and resizes one image.

    Returns:
        A function from uint8 [H, W, 3] to float32 [height, width, 3], values 0 to 255: the largest
        centred part with the network's aspect ratio, in which each pixel is the average of the
        area that it covers; interpolated bilinearly where the part is smaller than that.
    """
    size = preparation.size

    def prepare(image: tf.Tensor) -> tf.Tensor:
        start, stop = center_window(tf.shape(image, tf.int64)[:2], size)
        part = tf.strided_slice(image, start, stop, np.array([1, 1]))
        return tf.ensure_shape(resize(part, size, times_larger(stop - start, size)), [*size, 3])

    return prepare


def center_window(
    shape: tf.Tensor, size: tf.Tensor | np.ndarray, mirrored: tf.Tensor | int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The largest centred part with an aspect ratio.

    Args:
        shape: An image's (height, width): int64 [2].
        size: (height, width) with the aspect ratio: int64 [2].
        mirrored: Where it is 1, an odd pixel is left over at the top or left, not at the bottom
            or right: int64 [2].

    Returns:
        Its first row and column, and those behind its last: int64 [2] each, at least 1 apart.
    """
    fitting = tf.reverse(shape, [0]) * size // tf.reverse(size, [0])
    sides = tf.maximum(tf.minimum(shape, fitting), 1)
    start = (shape - sides + mirrored) // 2
    return start, start + sides


def times_larger(sides: tf.Tensor, size: tf.Tensor | np.ndarray) -> tf.Tensor:
    """How many times (height, width) fits into a part's: int64, rounded down."""
    return tf.reduce_min(sides // size)


def resize(image: tf.Tensor, size: tf.Tensor | np.ndarray, times: tf.Tensor) -> tf.Tensor:
    """Resizes [H, W, 3] of `times_larger` to float32 [height, width, 3], values 0 to 255."""
    pixels = tf.cast(image, tf.float32)  # Both are faster on it than on bytes.
    size = tf.cast(size, tf.int32)
    resized = tf.cond(
        times > 0,
        lambda: tf.image.resize(pixels, size, "area"),
        lambda: tf.image.resize(pixels, size, "bilinear"),
    )
    return tf.minimum(resized, 255.0)  # An area's weights may add up to a little more than 1.
