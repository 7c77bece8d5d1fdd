"""Decoded images to the network's size, as TensorFlow operations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from toolkit.choices import check_choice
from toolkit.data.table import MAX_PIXELS

CENTER, SQUASH, PAD = CROPS = ("center", "squash", "pad")
"""How an image gets the network's aspect ratio: its largest centred part, all of it squashed or
stretched, or all of it with bars at two sides."""

PADDING = np.array([124, 116, 104], np.float32)
"""The bars' colour: ImageNet's mean, which networks that were trained on it see as nothing."""


def check_crop(crop: str) -> None:
    """Refuses what is no way of cropping.

    Raises:
        OptionError: It is none.
    """
    check_choice("--crop", crop, CROPS)


@dataclass(frozen=True)
class Preparation:
    """What is done to an image before the network sees it; part of the cache's key and the bundle.

    Attributes:
        height: Of the network's input, in pixels.
        width: Of the network's input, in pixels.
        max_pixels: Images with more pixels are refused before they are decoded.
        version: Raised when the operations change, so that older cached features are not used.
        crop: One of `CROPS`.
    """

    height: int
    width: int
    max_pixels: int = MAX_PIXELS
    version: int = 2
    crop: str = CENTER

    @property
    def size(self) -> np.ndarray:
        """(height, width): int64 [2]."""
        return np.array([self.height, self.width])

    @property
    def key(self) -> str:
        """Names all that decides the prepared pixels."""
        return f"v{self.version}-{self.crop}-area-{self.height}x{self.width}"


def make_preparer(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that crops and resizes one image.

    Returns:
        A function from uint8 [H, W, 3] to float32 [height, width, 3], values 0 to 255.01: the part
        that `crop` says, in which each pixel is the average of the area that it covers;
        interpolated bilinearly where the part is smaller than that.
    """
    size, crop = preparation.size, preparation.crop

    def prepare(image: tf.Tensor) -> tf.Tensor:
        start, stop = window(tf.shape(image, tf.int64)[:2], size, crop)
        part = tf.strided_slice(image, start, stop, np.array([1, 1]))
        fitted = fitted_size(stop - start, size, crop)
        resized = resize(part, fitted, times_larger(stop - start, fitted), crop)
        return tf.ensure_shape(pad(resized, size, crop), [*size, 3])

    return prepare


def window(
    shape: tf.Tensor, size: tf.Tensor | np.ndarray, crop: str, mirrored: tf.Tensor | int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The part of an image that is used: as `center_window`, or all of it."""
    if crop == CENTER:
        return center_window(shape, size, mirrored)
    return tf.zeros_like(shape), shape


def fitted_size(
    sides: tf.Tensor, size: tf.Tensor | np.ndarray, crop: str
) -> tf.Tensor | np.ndarray:
    """(height, width) that a part is resized to: int64 [2]; smaller than `size` if it is padded."""
    if crop != PAD:
        return size
    across = tf.reverse(sides, [-1])
    return tf.clip_by_value((sides * tf.reverse(size, [-1]) + across // 2) // across, 1, size)


def pad(image: tf.Tensor, size: np.ndarray, crop: str) -> tf.Tensor:
    """Puts an upright image, float32 [H, W, 3], in the middle of one of `size`."""
    if crop != PAD:
        return image
    missing = size - tf.shape(image, tf.int64)[:2]
    bars = tf.stack([missing // 2, missing - missing // 2], axis=1)
    return tf.pad(image - PADDING, tf.pad(bars, [[0, 1], [0, 0]])) + PADDING


def center_window(
    shape: tf.Tensor, size: tf.Tensor | np.ndarray, mirrored: tf.Tensor | int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """The largest centred part with an aspect ratio.

    Args:
        shape: An image's (height, width): int64 [2], or [..., 2] for many.
        size: (height, width) with the aspect ratio: int64 [2] or [..., 2].
        mirrored: Where it is 1, an odd pixel is left over at the top or left, not at the bottom
            or right: int64 [2] or [..., 2].

    Returns:
        Its first row and column, and those behind its last: int64 [..., 2] each, at least 1 apart.
    """
    fitting = tf.reverse(shape, [-1]) * size // tf.reverse(size, [-1])
    sides = tf.maximum(tf.minimum(shape, fitting), 1)
    start = (shape - sides + mirrored) // 2
    return start, start + sides


def times_larger(sides: tf.Tensor, size: tf.Tensor | np.ndarray) -> tf.Tensor:
    """How many times (height, width) fits into a part's: int64 [...], rounded down."""
    return tf.reduce_min(sides // size, -1)


def resize(image: tf.Tensor, size: tf.Tensor | np.ndarray, fits: tf.Tensor, crop: str) -> tf.Tensor:
    """Resizes [H, W, 3], into which the size fits or not, to float32 [height, width, 3].

    An area's weights may add up to a little more than 1, so white may be 255.01. To cut that off
    would take a twentieth of the time that a photo takes, decoding and all.
    """
    antialias = crop == SQUASH  # One side may shrink while the other grows.
    size = tf.cast(size, tf.int32)

    def shrink() -> tf.Tensor:
        return tf.image.resize(image, size, "area")

    def enlarge() -> tf.Tensor:
        pixels = tf.cast(image, tf.float32)  # A fifth faster than on bytes; areas are not.
        return tf.image.resize(pixels, size, "bilinear", antialias=antialias)

    known = tf.get_static_value(fits)
    if known is not None:  # The graph does without what is never needed.
        return shrink() if known else enlarge()
    return tf.cond(fits > 0, shrink, enlarge)
