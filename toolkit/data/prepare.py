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
    version: int = 2

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
    size = [preparation.height, preparation.width]

    def prepare(image: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(resize(center_crop(image, size), size), [*size, 3])

    return prepare


def center_crop(image: tf.Tensor, size: list[int]) -> tf.Tensor:
    """Cuts out the largest centred part with a size's aspect ratio: [H, W, 3] to [h, w, 3]."""
    start, stop = center_window(tf.shape(image)[:2], size)
    return tf.slice(image, tf.concat([start, [0]], 0), tf.concat([stop - start, [3]], 0))


def center_window(
    shape: tf.Tensor, size: tf.Tensor | list[int], mirrored: tf.Tensor | int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The largest centred part of an image with a size's aspect ratio.

    Args:
        shape: The image's (height, width): int32 [2].
        size: (height, width) with the aspect ratio: int32 [2].
        mirrored: Where it is 1, an odd pixel is left over at the top or left, not at the bottom
            or right: int32 [2].

    Returns:
        Its first row and column, and the first ones behind it: int32 [2] each, never empty.
    """
    sides, ratio = tf.cast(shape, tf.int64), tf.cast(size, tf.int64)
    window = tf.maximum(tf.minimum(sides, tf.reverse(sides, [0]) * ratio // tf.reverse(ratio, [0])), 1)
    window = tf.cast(window, tf.int32)
    start = (shape - window + mirrored) // 2
    return start, start + window


def resize(image: tf.Tensor, size: tf.Tensor | list[int]) -> tf.Tensor:
    """Resizes [H, W, 3] to float32 [height, width, 3], the aspect ratios being equal."""
    pixels = tf.cast(image, tf.float32)  # Both are faster on it than on bytes.
    shrunk = tf.cond(
        tf.reduce_all(tf.shape(image)[:2] >= size),
        lambda: tf.image.resize(pixels, size, "area"),
        lambda: tf.image.resize(pixels, size, "bilinear"),
    )
    return tf.minimum(shrunk, 255.0)  # Weights may add up to a little more than 1.
