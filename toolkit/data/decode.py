"""Encoded bytes to RGB pixels, as TensorFlow operations: the same for training and for service."""

from collections.abc import Callable

import tensorflow as tf

from toolkit.data.exif import turn
from toolkit.data.header import (
    ANIMATED_WEBP,
    JPEG,
    PALETTE_BMP,
    PLAIN,
    WEBP,
    Header,
    read_header,
)
from toolkit.data.table import MAX_PIXELS

JPEG_OPTIONS = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
"""What other libraries use: pixels then agree with Pillow's."""


def make_decoder(max_pixels: int = MAX_PIXELS) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes one whole image.

    Whoever only wants it in the network's size takes `toolkit.data.read.make_reader`, which decodes
    no more than it needs.

    Args:
        max_pixels: Images of more pixels (height x width) raise `tf.errors.InvalidArgumentError`
            before they are decoded, as do bytes that are none of the formats below.

    Returns:
        A function from a scalar string tensor (JPEG, PNG, BMP, still WebP or a GIF's first frame)
        to uint8 [H, W, 3], RGB, turned as the JPEG's EXIF orientation says. Grey, palette and
        16-bit images become RGB, CMYK is converted, alpha is dropped. It raises
        `tf.errors.InvalidArgumentError` where the bytes are no readable image.

    Example:
        >>> make_decoder()(tf.io.read_file("photo.jpg")).dtype
        tf.uint8
    """

    def decode(data: tf.Tensor) -> tf.Tensor:
        header = checked_header(data, max_pixels)
        decoders = other_decoders(data)
        decoders[JPEG] = lambda: tf.io.decode_jpeg(data, **JPEG_OPTIONS)
        return turn(tf.switch_case(header.kind, decoders), header.orientation)

    return decode


def checked_header(data: tf.Tensor, max_pixels: int) -> Header:
    """The header of an image that may be decoded.

    Raises:
        tf.errors.InvalidArgumentError: The format is not known, or there are too many pixels.
    """
    header = read_header(data)
    shape = header.shape
    pixels = tf.reduce_prod(tf.cast(shape, tf.float64))  # May be more than int64 holds.
    message = "an image may have at most", max_pixels, "pixels; received (height, width):", shape
    checks = [
        _assert(pixels <= max_pixels, *message),
        _assert(pixels > 0, "not a JPEG, PNG, BMP, GIF or WebP image"),
    ]
    with tf.control_dependencies(checks):
        return header._replace(kind=tf.identity(header.kind), shape=tf.identity(shape))


def other_decoders(data: tf.Tensor) -> dict[int, Callable[[], tf.Tensor]]:
    """For each kind of image other than JPEG, what decodes it: to uint8 [H, W, 3]."""
    return {
        PLAIN: lambda: _decode_image(data, 3),
        PALETTE_BMP: lambda: _decode_palette_bmp(data),
        # Of a WebP image TensorFlow must choose the channels: it refuses to leave alpha out.
        WEBP: lambda: _decode_image(data, 0)[..., :3],
        # There, it would overrun its memory.
        ANIMATED_WEBP: _refuse_animation,
    }


def _decode_image(data: tf.Tensor, channels: int) -> tf.Tensor:
    image = tf.io.decode_image(data, channels=channels, expand_animations=False)
    return tf.ensure_shape(image, [None, None, None])


def _decode_palette_bmp(data: tf.Tensor) -> tf.Tensor:
    """Looks the pixels up in the palette behind the headers, which TensorFlow passes over."""
    places = tf.io.decode_bmp(data, channels=3)[..., 0]
    start = 14 + tf.squeeze(tf.io.decode_raw(tf.strings.substr(data, 14, 4), tf.int32), 0)
    content = tf.io.decode_raw(tf.strings.substr(data, start, 1024), tf.uint8, fixed_length=1024)
    palette = tf.gather(tf.reshape(content, [256, 4]), [2, 1, 0], axis=1)
    return tf.gather(palette, tf.cast(places, tf.int32))


def _refuse_animation() -> tf.Tensor:
    refusal = _assert(tf.constant(False), "an animated WebP image; only still ones are read")
    with tf.control_dependencies([refusal]):
        return tf.zeros([1, 1, 3], tf.uint8)


def _assert(condition: tf.Tensor, *message: object) -> tf.Operation | None:
    if tf.executing_eagerly():
        return tf.debugging.Assert(condition, message)
    # The same, which in a graph would put a condition and two functions around each.
    return tf.raw_ops.Assert(condition=condition, data=message)
