"""Encoded bytes to RGB pixels, as TensorFlow operations: the same for training and for service."""

from collections.abc import Callable

import tensorflow as tf

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded (100 megapixels: 300 MB of RGB)."""

_HEADER_BYTES = 1 << 17  # EXIF is at most 64 kB; other segments may come before it.
_ORIENTATION_TAG = 0x0112


def make_decoder(max_pixels: int = MAX_PIXELS) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes one image.

    Args:
        max_pixels: Images of more pixels (height x width) raise `tf.errors.InvalidArgumentError`
            before they are decoded, as do bytes that are none of the formats below.

    Returns:
        A function from a scalar string tensor (JPEG, PNG, BMP, WebP or the first frame of a GIF)
        to uint8 [H, W, 3], RGB, turned as the JPEG's EXIF orientation says. Grey, palette and
        16-bit images become RGB, CMYK is converted, alpha is dropped. It raises
        `tf.errors.InvalidArgumentError` where the bytes are no readable image.

    Example:
        >>> make_decoder()(tf.io.read_file("photo.jpg")).dtype
        tf.uint8
    """

    def decode(data: tf.Tensor) -> tf.Tensor:
        header = _header(data)
        is_jpeg = tf.reduce_all(header[:3] == [0xFF, 0xD8, 0xFF])
        with tf.control_dependencies([_assert_size(data, header, is_jpeg, max_pixels)]):
            return tf.cond(is_jpeg, lambda: _decode_jpeg(data, header), lambda: _decode_other(data))

    return decode


def _decode_jpeg(data: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    # INTEGER_ACCURATE is what other libraries use: pixels then agree with Pillow's.
    image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return _turn(image, exif_orientation(header))


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

    def starts(magic: bytes, at: int = 0) -> tf.Tensor:
        return tf.reduce_all(header[at : at + len(magic)] == list(magic))

    def sides(height: int, width: int, size: int, little: bool = True) -> tf.Tensor:
        at = [height, width]
        return tf.stack([_number(header[i : i + size], size, little) for i in at])

    def lossless_webp() -> tf.Tensor:
        bits = _number(header[21:25], 4, little=True)
        return tf.stack([bits // 0x4000 % 0x4000, bits % 0x4000]) + 1

    return tf.case(
        [
            (starts(b"\x89PNG"), lambda: sides(20, 16, 4, little=False)),
            (starts(b"GIF8"), lambda: sides(8, 6, 2)),
            (starts(b"BM"), lambda: tf.abs(sides(22, 18, 4))),
            (starts(b"VP8 ", 12), lambda: sides(28, 26, 2) % 0x4000),
            (starts(b"VP8L", 12), lossless_webp),
            (starts(b"VP8X", 12), lambda: sides(27, 24, 3) + 1),
        ],
        default=lambda: tf.zeros([2], tf.int32),
    )


def exif_orientation(header: tf.Tensor) -> tf.Tensor:
    """Orientation (1 to 8) out of a JPEG's EXIF segment; 1 where there is none.

    Args:
        header: uint8 [B], the file's first bytes.

    See "Exif Version 2.32" (CIPA DC-008), 4.5 and 4.6.4.
    """
    size = tf.size(header)

    def read(at: tf.Tensor, count: int) -> tf.Tensor:
        at = tf.clip_by_value(at, 0, size - count)
        return header[at : at + count]

    def is_other_segment(at: tf.Tensor) -> tf.Tensor:
        marker = read(at, 2)
        has_length = (marker[0] == 0xFF) & (marker[1] >= 0xC0) & (marker[1] != 0xDA)
        return has_length & (marker[1] != 0xE1) & (at < size - 64)

    def skip(at: tf.Tensor) -> tuple[tf.Tensor]:
        return (at + 2 + _number(read(at + 2, 2), 2, little=False),)

    (at,) = tf.while_loop(is_other_segment, skip, (tf.constant(2),))
    is_exif = tf.reduce_all(read(at, 2) == [0xFF, 0xE1]) & tf.reduce_all(
        read(at + 4, 6) == list(b"Exif\x00\x00")
    )
    return tf.cond(is_exif, lambda: _orientation_entry(header, at + 10), lambda: tf.constant(1))


def _number(values: tf.Tensor, size: int, little: bool | tf.Tensor) -> tf.Tensor:
    """The numbers that the last axis's bytes stand for: int32 [..., size] to int32 [...]."""
    powers = tf.constant([1 << 8 * i for i in range(size)])
    values = tf.cast(values, tf.int32)
    return tf.reduce_sum(values * tf.where(little, powers, powers[::-1]), -1)


def _orientation_entry(header: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """The orientation's value in the first directory of the TIFF structure that begins there."""
    body = tf.concat([header[tiff:], tf.zeros([16], tf.uint8)], 0)
    little = body[0] == ord("I")
    first = tf.clip_by_value(_number(body[4:8], 4, little), 0, tf.size(body) - 16)
    count = _number(body[first : first + 2], 2, little)
    count = tf.minimum(count, (tf.size(body) - first - 2) // 12)
    entries = tf.reshape(body[first + 2 : first + 2 + 12 * count], [-1, 12])
    found = _number(entries[:, :2], 2, little) == _ORIENTATION_TAG
    values = tf.boolean_mask(_number(entries[:, 8:10], 2, little), found)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as its EXIF orientation says."""

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == list(values))

    def turn() -> tf.Tensor:
        turned = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        turned = tf.cond(one_of(2, 3, 6, 7), lambda: turned[:, ::-1], lambda: turned)
        return tf.cond(one_of(3, 4, 7, 8), lambda: turned[::-1], lambda: turned)

    return tf.cond(orientation == 1, lambda: image, turn)
