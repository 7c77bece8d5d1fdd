"""The orientation out of a JPEG's EXIF segment, as TensorFlow operations."""

import numpy as np
import tensorflow as tf

from toolkit.data.orientation import (
    BEFORE_NAME,
    ENTRIES,
    HEAD_BYTES,
    LITTLE_ENDIAN,
    MARKER,
    SEGMENT_BYTES,
    TAG,
)

_ENTRIES = np.arange(ENTRIES, dtype=np.int32)
_PLACES = np.stack([0 * _ENTRIES, 1 + 6 * _ENTRIES, 5 + 6 * _ENTRIES])
"""Words from a directory's start to the count, and to each entry's tag and value."""

# For each orientation, 0 unused: whether rows and columns are stored backwards, and whether an
# upright image's rows are stored as columns.
_MIRRORED = np.array([[0, 0], [0, 0], [0, 1], [1, 1], [1, 0], [0, 0], [1, 0], [1, 1], [0, 1]])
_TRANSPOSED = np.arange(9) >= 5
_START = np.array([0, 0])


def exif_orientation(data: tf.Tensor) -> tf.Tensor:
    """Orientation (1 to 8) out of a JPEG's EXIF segment: int32; 1 where there is none.

    Args:
        data: The JPEG, scalar string.
    """
    head = tf.strings.substr(data, 0, HEAD_BYTES)
    # The segments are not walked through: most files have no EXIF, and this tells it at the speed
    # of memory. In an image's own data, the name cannot come behind a marker.
    before = tf.strings.regex_replace(head, r"(?s)Exif\x00\x00\C*", "", replace_global=False)
    start = tf.strings.length(before)
    size = tf.minimum(tf.strings.length(data), HEAD_BYTES)
    return tf.cond(start < size, lambda: _read_segment(data, start - BEFORE_NAME), lambda: 1)


def _read_segment(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The orientation in the segment whose marker is at a place, 1 if it has none.

    `toolkit.data.orientation` says where what lies in it.
    """
    segment = tf.strings.substr(data, start, SEGMENT_BYTES)
    big, little = (
        tf.io.decode_raw(segment, tf.uint16, fixed_length=SEGMENT_BYTES, little_endian=order)
        for order in (False, True)
    )
    marker, order = tf.unstack(tf.gather(big, [0, 5]))
    words = tf.cast(tf.where(order == int.from_bytes(LITTLE_ENDIAN), little, big), tf.int32)
    places = 5 + tf.reduce_sum(tf.gather(words, [7, 8])) // 2 + _PLACES
    counts, tags, values = tf.unstack(tf.gather(words, tf.minimum(places, SEGMENT_BYTES // 2 - 1)))
    valid = (tags == TAG) & (counts > _ENTRIES) & (values <= 8) & (marker == int.from_bytes(MARKER))
    return tf.maximum(tf.reduce_max(tf.where(valid, values, 1)), 1)


def stored_size(size: np.ndarray, orientation: tf.Tensor) -> tf.Tensor:
    """An upright image's (height, width) as it is stored in the file: int64 [..., 2]."""
    if size[0] == size[1]:
        return tf.constant(size)
    return tf.gather(np.where(_TRANSPOSED[:, None], size[::-1], size), orientation)


def mirrored_sides(orientation: tf.Tensor) -> tf.Tensor:
    """Whether rows and columns are stored in reverse: int64 [..., 2], 0 or 1."""
    return tf.gather(_MIRRORED, orientation)


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Makes an image upright: [H, W, 3] to [H, W, 3] or [W, H, 3]."""
    if tf.get_static_value(orientation) == 1:
        return image  # The graph does without what is never needed.
    steps = tf.gather(1 - 2 * _MIRRORED, orientation)
    mirrored = tf.strided_slice(image, _START, _START, steps, begin_mask=0b11, end_mask=0b11)
    order = tf.gather(np.where(_TRANSPOSED[:, None], [1, 0, 2], [0, 1, 2]), orientation)
    return tf.transpose(mirrored, order)  # Nothing is done to an upright one.
