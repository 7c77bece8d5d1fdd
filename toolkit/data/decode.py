"""Encoded bytes to RGB pixels, as TensorFlow operations: the same for training and for service."""

from collections.abc import Callable

import tensorflow as tf

from toolkit.data.exif import exif_orientation, number, starts

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded (100 megapixels: 300 MB of RGB)."""

_HEADER_BYTES = 1 << 17  # EXIF is at most 64 kB; other segments may come before it.


def make_decoder(max_pixels: int = MAX_PIXELS) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes one image.

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
        header = _header(data)
        is_jpeg = starts(header, b"\xff\xd8\xff")
        with tf.control_dependencies([_assert_size(data, header, is_jpeg, max_pixels)]):
            return tf.case(
                [
                    (is_jpeg, lambda: _decode_jpeg(data, header)),
                    (_is_palette_bmp(header), lambda: _decode_palette_bmp(data, header)),
                    (starts(header, b"WEBP", 8), lambda: _decode_webp(data, header)),
                ],
                default=lambda: _decode_other(data),
            )

    return decode


def _decode_jpeg(data: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    # INTEGER_ACCURATE is what other libraries use: pixels then agree with Pillow's.
    image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return _turn(image, exif_orientation(header))


def _is_palette_bmp(header: tf.Tensor) -> tf.Tensor:
    return starts(header, b"BM") & starts(header, b"\x08\x00", 28)


def _decode_palette_bmp(data: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    """Looks the pixels up in the palette behind the headers, which TensorFlow passes over."""
    places = tf.io.decode_bmp(data, channels=3)[..., 0]
    start = 14 + tf.clip_by_value(number(header[14:18], 4, little=True), 0, tf.size(header) - 14)
    palette = tf.pad(header[start : start + 1024], [[0, 1024]])[:1024]
    blue_green_red = tf.reshape(palette, [256, 4])[:, :3]
    return tf.gather(blue_green_red[:, ::-1], tf.cast(places, tf.int32))


def _decode_webp(data: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    # TensorFlow overruns its memory where it chooses the channels of an animation itself; of a
    # still image it must choose them, as it refuses to leave alpha out.
    still = ~starts(header, b"VP8X", 12) | (header[20] // 2 % 2 == 0)
    check = tf.debugging.Assert(still, ["an animated WebP image; only still ones are read"])
    with tf.control_dependencies([check]):
        image = tf.io.decode_image(data, channels=0, expand_animations=False)
    return tf.ensure_shape(image[..., :3], [None, None, 3])


def _decode_other(data: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_image(data, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def _header(data: tf.Tensor) -> tf.Tensor:
    """The first bytes, uint8, with zeros behind them so that any file can be indexed."""
    head = tf.strings.substr(data, 0, _HEADER_BYTES)
    return tf.io.decode_raw(tf.strings.join([head, b"\x00" * 64]), tf.uint8)


def _assert_size(
    data: tf.Tensor, header: tf.Tensor, is_jpeg: tf.Tensor, max_pixels: int
) -> tf.Operation:
    shape = tf.cond(
        is_jpeg,
        lambda: tf.image.extract_jpeg_shape(data)[:2],
        lambda: _other_shape(header),
    )
    known = tf.debugging.Assert(
        tf.reduce_all(shape > 0), ["not a JPEG, PNG, BMP, GIF or WebP image"], name="format"
    )
    small = tf.debugging.Assert(
        tf.reduce_prod(tf.cast(shape, tf.int64)) <= max_pixels,
        ["an image may have at most", max_pixels, "pixels; received (height, width):", shape],
        name="size",
    )
    return tf.group(known, small)


def _other_shape(header: tf.Tensor) -> tf.Tensor:
    """(height, width) as PNG, GIF, BMP and WebP declare them; (0, 0) for anything else."""

    def sides(height: int, width: int, size: int, little: bool = True) -> tf.Tensor:
        at = [height, width]
        return tf.stack([number(header[i : i + size], size, little) for i in at])

    def lossless_webp() -> tf.Tensor:
        bits = number(header[21:25], 4, little=True)
        return tf.stack([bits // 0x4000 % 0x4000, bits % 0x4000]) + 1

    return tf.case(
        [
            (starts(header, b"\x89PNG"), lambda: sides(20, 16, 4, little=False)),
            (starts(header, b"GIF8"), lambda: sides(8, 6, 2)),
            (starts(header, b"BM"), lambda: tf.abs(sides(22, 18, 4))),
            (starts(header, b"VP8 ", 12), lambda: sides(28, 26, 2) % 0x4000),
            (starts(header, b"VP8L", 12), lossless_webp),
            (starts(header, b"VP8X", 12), lambda: sides(27, 24, 3) + 1),
        ],
        default=lambda: tf.zeros([2], tf.int32),
    )


def _turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as its EXIF orientation says."""

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == list(values))

    def turn() -> tf.Tensor:
        turned = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        turned = tf.cond(one_of(2, 3, 6, 7), lambda: turned[:, ::-1], lambda: turned)
        return tf.cond(one_of(3, 4, 7, 8), lambda: turned[::-1], lambda: turned)

    return tf.cond(orientation == 1, lambda: image, turn)
