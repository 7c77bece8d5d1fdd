"""What an image's first bytes say, as TensorFlow operations: its format and its size."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from toolkit.data.exif import exif_orientation
from toolkit.data.table import JPEG_END

PLAIN, PALETTE_BMP, WEBP, ANIMATED_WEBP, JPEG = range(5)
"""Kinds of images that are each decoded in another way."""

_BYTES = 32
_ANY = 1 << 40


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        kind: One of the kinds above: int32.
        shape: (height, width) as it is stored: int64 [2]; (0, 0) for an unknown format.
        orientation: How it is to be turned, after EXIF: int32, 1 to 8.
        is_cut: Whether it is a JPEG that does not end like one, so that it may be cut short: int64,
            0 or 1. TensorFlow does not read what lies below a part, nor notice where it is missing:
            all rows down to the last are to be decoded then.
    """

    kind: tf.Tensor
    shape: tf.Tensor
    orientation: tf.Tensor
    is_cut: tf.Tensor


class _Format(NamedTuple):
    """Where a format's header says what.

    Attributes:
        magic: Place and bytes by which it is known.
        sides: Places of height and width.
        size: Bytes of each.
        kind: One of the kinds above.
        big: Whether the first byte counts most.
        modulus: A side is what remains of the number, when it is divided by this, ...
        shift: ... a height after this many bits were dropped, ...
        plus: ... and this is added.
        signed: Whether a minus, for another order of the rows, is to be dropped.
        special: Place, mask and value of bytes that make it the next kind.
    """

    magic: tuple[int, bytes]
    sides: tuple[int, int]
    size: int
    kind: int = PLAIN
    big: bool = False
    modulus: int = _ANY
    shift: int = 0
    plus: int = 0
    signed: bool = False
    special: tuple[int, int, int] = (0, 0, 1)


_FORMATS = [
    _Format((0, b"\x89PNG"), (20, 16), 4, big=True),
    _Format((0, b"GIF8"), (8, 6), 2),
    _Format((0, b"BM"), (22, 18), 4, signed=True, special=(28, 0xFF, 8)),
    _Format((12, b"VP8 "), (28, 26), 2, WEBP, modulus=1 << 14),
    _Format((12, b"VP8L"), (21, 21), 4, WEBP, modulus=1 << 14, shift=14, plus=1),
    _Format((12, b"VP8X"), (27, 24), 3, WEBP, plus=1, special=(20, 2, 2)),
]


def read_header(data: tf.Tensor) -> Header:
    """What the first bytes of an image, a scalar string, say."""
    is_jpeg = tf.strings.substr(data, 0, 3) == b"\xff\xd8\xff"
    return Header(*tf.cond(is_jpeg, lambda: _read_jpeg(data), lambda: _read_other(data)))


def _read_jpeg(data: tf.Tensor) -> Header:
    shape = tf.image.extract_jpeg_shape(data, tf.int64)[:2]
    is_cut = tf.cast(tf.strings.substr(data, -2, 2) != JPEG_END, tf.int64)
    return Header(tf.constant(JPEG), shape, exif_orientation(data), is_cut)


def _read_other(data: tf.Tensor) -> Header:
    # One table for all formats takes fewer operations than a branch for each. Each costs time, also
    # where a JPEG is read: when a graph with them is made ready, and when they are passed over.
    header = tf.cast(tf.io.decode_raw(data, tf.uint8, fixed_length=_BYTES), tf.int64)
    magic, special = tf.unstack(tf.reduce_sum(_MARKS * header, -1))
    numbers = tf.reduce_sum(_SIDES * header, -1)
    sides = tf.minimum(numbers, _SIGNS - numbers) // _SHIFTS % _MODULI + _PLUS
    kinds = _KINDS + tf.cast(special & _MASKS == _SPECIALS, tf.int64)
    known = tf.cast(magic == _MAGIC, tf.int64)
    kind = tf.cast(tf.reduce_sum(kinds * known), tf.int32)
    shape = tf.reduce_sum(sides * known, -1)
    return Header(kind, shape, tf.constant(1), tf.constant(0, tf.int64))


def _weights(start: int, size: int, big: bool = False) -> np.ndarray:
    """With what the first bytes are to be multiplied to sum up to a number: int64 [32]."""
    powers = 256 ** np.arange(size)
    return np.pad(powers[::-1] if big else powers, (start, _BYTES - start - size))


_MARKS = np.array(
    [
        [_weights(f.magic[0], len(f.magic[1])) for f in _FORMATS],
        [_weights(f.special[0], 1) for f in _FORMATS],
    ]
)
_MAGIC = np.array([int.from_bytes(f.magic[1], "little") for f in _FORMATS])
_KINDS = np.array([f.kind for f in _FORMATS])
_MASKS = np.array([f.special[1] for f in _FORMATS])
_SPECIALS = np.array([f.special[2] for f in _FORMATS])
_SIDES = np.array([[_weights(f.sides[i], f.size, f.big) for f in _FORMATS] for i in (0, 1)])
_SIGNS = np.array([1 << 32 if f.signed else _ANY for f in _FORMATS])
_SHIFTS = np.array([[1 << f.shift for f in _FORMATS], [1 for f in _FORMATS]])
_MODULI = np.array([f.modulus for f in _FORMATS])
_PLUS = np.array([f.plus for f in _FORMATS])
