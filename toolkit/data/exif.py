"""The orientation out of a JPEG's EXIF segment, as TensorFlow operations."""

import tensorflow as tf

_ORIENTATION_TAG = 0x0112


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

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        # XMP uses the same marker, and may come first.
        return starts(read(at, 2), b"\xff\xe1") & starts(read(at + 4, 6), b"Exif\x00\x00")

    def is_other_segment(at: tf.Tensor) -> tf.Tensor:
        marker = read(at, 2)
        has_length = (marker[0] == 0xFF) & (marker[1] >= 0xC0) & (marker[1] != 0xDA)
        return has_length & ~is_exif(at) & (at < size - 64)

    def skip(at: tf.Tensor) -> tuple[tf.Tensor]:
        return (at + 2 + number(read(at + 2, 2), 2, little=False),)

    (at,) = tf.while_loop(is_other_segment, skip, (tf.constant(2),))
    return tf.cond(is_exif(at), lambda: _orientation_entry(header, at + 10), lambda: tf.constant(1))


def starts(header: tf.Tensor, magic: bytes, at: int = 0) -> tf.Tensor:
    """Whether the bytes from a place on are these: bool scalar."""
    return tf.reduce_all(header[at : at + len(magic)] == list(magic))


def number(values: tf.Tensor, size: int, little: bool | tf.Tensor) -> tf.Tensor:
    """The numbers that the last axis's bytes stand for: int32 [..., size] to int32 [...]."""
    powers = tf.constant([1 << 8 * i for i in range(size)])
    values = tf.cast(values, tf.int32)
    return tf.reduce_sum(values * tf.where(little, powers, powers[::-1]), -1)


def _orientation_entry(header: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """The orientation's value in the first directory of the TIFF structure that begins there."""
    body = tf.concat([header[tiff:], tf.zeros([16], tf.uint8)], 0)
    little = body[0] == ord("I")
    first = tf.clip_by_value(number(body[4:8], 4, little), 0, tf.size(body) - 16)
    count = number(body[first : first + 2], 2, little)
    count = tf.minimum(count, (tf.size(body) - first - 2) // 12)
    entries = tf.reshape(body[first + 2 : first + 2 + 12 * count], [-1, 12])
    found = number(entries[:, :2], 2, little) == _ORIENTATION_TAG
    values = tf.boolean_mask(number(entries[:, 8:10], 2, little), found)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)
