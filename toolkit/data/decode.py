"""Encoded bytes to RGB pixels, as TensorFlow operations: the same for training and for service."""

from collections.abc import Callable

import tensorflow as tf

from toolkit.data.exif import exif_orientation, turn
from toolkit.data.header import declared_shape, first_bytes, is_jpeg, starts

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded (100 megapixels: 300 MB of RGB)."""

JPEG_OPTIONS = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
"""What other libraries use: pixels then agree with Pillow's."""


def make_decoder(max_pixels: int = MAX_PIXELS) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes one whole image.

    What only wants an image of the network's size takes `toolkit.data.read.make_reader`, which
    decodes no more than it needs.

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
        return tf.cond(
            is_jpeg(data),
            lambda: _decode_jpeg(data, max_pixels),
            lambda: decode_other(data, max_pixels),
        )

    return decode


def jpeg_shape(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """(height, width) of a JPEG that is not too large: int32 [2], as it lies in the file."""
    return _small(tf.image.extract_jpeg_shape(data)[:2], max_pixels)


def _decode_jpeg(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    with tf.control_dependencies([jpeg_shape(data, max_pixels)]):
        image = tf.io.decode_jpeg(data, **JPEG_OPTIONS)
    return turn(image, exif_orientation(data))


def decode_other(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Decodes whatever is no JPEG: uint8 [H, W, 3]."""
    header = first_bytes(data)
    shape = declared_shape(header)
    known = tf.debugging.Assert(
        tf.reduce_all(shape > 0), ["not a JPEG, PNG, BMP, GIF or WebP image"], name="format"
    )
    with tf.control_dependencies([known, _small(shape, max_pixels)]):
        is_palette_bmp = starts(header, b"BM") & starts(header, b"\x08\x00", 28)
        return tf.case(
            [
                (is_palette_bmp, lambda: _decode_palette_bmp(data)),
                (starts(header, b"WEBP", 8), lambda: _decode_webp(data, header)),
            ],
            default=lambda: _decode_image(data),
        )


def _small(shape: tf.Tensor, max_pixels: int) -> tf.Tensor:
    small = tf.debugging.Assert(
        tf.reduce_prod(tf.cast(shape, tf.int64)) <= max_pixels,
        ["an image may have at most", max_pixels, "pixels; received (height, width):", shape],
        name="size",
    )
    with tf.control_dependencies([small]):
        return tf.identity(shape)


def _decode_palette_bmp(data: tf.Tensor) -> tf.Tensor:
    """Looks the pixels up in the palette behind the headers, which TensorFlow passes over."""
    places = tf.io.decode_bmp(data, channels=3)[..., 0]
    size = tf.io.decode_raw(tf.strings.substr(data, 14, 4), tf.int32)[0]
    start = 14 + tf.clip_by_value(size, 0, tf.strings.length(data) - 14)
    palette = tf.strings.substr(data, start, 1024)
    blue_green_red = tf.reshape(tf.io.decode_raw(palette, tf.uint8, fixed_length=1024), [256, 4])
    return tf.gather(blue_green_red[:, 2::-1], tf.cast(places, tf.int32))


def _decode_webp(data: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    # TensorFlow overruns its memory where it chooses the channels of an animation itself; of a
    # still image it must choose them, as it refuses to leave alpha out.
    still = ~starts(header, b"VP8X", 12) | (header[20] // 2 % 2 == 0)
    check = tf.debugging.Assert(still, ["an animated WebP image; only still ones are read"])
    with tf.control_dependencies([check]):
        image = tf.io.decode_image(data, channels=0, expand_animations=False)
    return tf.ensure_shape(image[..., :3], [None, None, 3])


def _decode_image(data: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])
