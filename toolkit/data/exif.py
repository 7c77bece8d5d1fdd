"""The orientation out of a JPEG's EXIF segment, as TensorFlow operations."""

import tensorflow as tf

_HEAD_BYTES = 1 << 17  # EXIF is at most 64 kB; other segments may come before it.
_ORIENTATION_TAG = 0x0112
_ENTRIES = 512
"""How many of a directory's entries are looked at; cameras write about ten."""

# Whether rows and columns, as they lie in the file, run backwards; by orientation, 0 unused.
_MIRRORED = [[0, 0], [0, 0], [0, 1], [1, 1], [1, 0], [0, 0], [1, 0], [1, 1], [0, 1]]


def exif_orientation(data: tf.Tensor) -> tf.Tensor:
    """Orientation (1 to 8) out of a JPEG's EXIF segment: int32; 1 where there is none.

    Args:
        data: The JPEG, scalar string.

    See "Exif Version 2.32" (CIPA DC-008), 4.5 and 4.6.4.
    """
    head = tf.strings.substr(data, 0, _HEAD_BYTES)
    # The segments are not walked through: most files have no EXIF, and this tells it at the speed
    # of memory. In an image's own data, the name cannot come behind a marker.
    before = tf.strings.regex_replace(head, r"(?s)Exif\x00\x00\C*", "", replace_global=False)
    start = tf.strings.length(before)

    def read() -> tf.Tensor:
        marker = tf.strings.substr(data, tf.maximum(start - 4, 0), 2)
        found = _orientation_entry(tf.strings.substr(data, start + 6, _HEAD_BYTES))
        return tf.where((marker == b"\xff\xe1") & (found >= 1) & (found <= 8), found, 1)

    return tf.cond(start < tf.strings.length(head), read, lambda: 1)


def is_transposed(orientation: tf.Tensor) -> tf.Tensor:
    """Whether an upright image's rows lie in the file as columns: bool."""
    return orientation >= 5


def mirrored_sides(orientation: tf.Tensor) -> tf.Tensor:
    """Whether rows and columns lie in the file in reverse: int32 [2], 0 or 1."""
    return tf.gather(_MIRRORED, orientation)


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Makes an image upright: [H, W, 3] to [H, W, 3] or [W, H, 3]."""

    def turned() -> tf.Tensor:
        steps = 1 - 2 * mirrored_sides(orientation)
        order = tf.where(is_transposed(orientation), [1, 0, 2], [0, 1, 2])
        return tf.transpose(image[:: steps[0], :: steps[1]], order)

    return tf.cond(orientation == 1, lambda: image, turned)


def _orientation_entry(tiff: tf.Tensor) -> tf.Tensor:
    """The orientation's value in the first directory of a TIFF structure, 0 where it has none."""
    little = tf.strings.substr(tiff, 0, 2) == b"II"

    def numbers(data: tf.Tensor, dtype: tf.DType, count: int) -> tf.Tensor:
        orders = [
            tf.io.decode_raw(data, dtype, fixed_length=count * dtype.size, little_endian=order)
            for order in (True, False)
        ]
        return tf.cast(tf.where(little, *orders), tf.int32)

    length = tf.strings.length(tiff)
    first = numbers(tf.strings.substr(tiff, tf.minimum(4, length), 4), tf.int32, 1)[0]
    place = tf.clip_by_value(first, 0, length)
    directory = numbers(tf.strings.substr(tiff, place, length), tf.uint16, 1 + 6 * _ENTRIES)
    count, entries = directory[0], tf.reshape(directory[1:], [_ENTRIES, 6])
    tags, values = entries[:, 0], entries[:, 4]
    found = (tags == _ORIENTATION_TAG) & (tf.range(_ENTRIES) < count)
    return tf.reduce_max(tf.where(found, values, 0))
