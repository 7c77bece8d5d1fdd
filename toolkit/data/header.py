"""What an image's first bytes say, as TensorFlow operations: its format and its size."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

_BYTES = 32


class _Header(NamedTuple):
    """Where a format's sizes stand.

    Attributes:
        magic: Bytes by which the format is known.
        at: Their place.
        sides: First bytes of height and width.
        size: Bytes of each.
        order: "little", "big", or "signed": little, where minus stands for another order of rows.
        shifts: Bits below height and width that belong to something else.
        bits: Bits of each.
        plus: What is to be added.
    """

    magic: bytes
    at: int
    sides: tuple[int, int]
    size: int
    order: str = "little"
    shifts: tuple[int, int] = (0, 0)
    bits: int = 32
    plus: int = 0


_HEADERS = [
    _Header(b"\x89PNG", 0, (20, 16), 4, "big"),
    _Header(b"GIF8", 0, (8, 6), 2),
    _Header(b"BM", 0, (22, 18), 4, "signed"),
    _Header(b"VP8 ", 12, (28, 26), 2, bits=14),  # WebP in its three kinds.
    _Header(b"VP8L", 12, (21, 21), 4, shifts=(14, 0), bits=14, plus=1),
    _Header(b"VP8X", 12, (27, 24), 3, plus=1),
]


def is_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Whether bytes, a scalar string, begin like a JPEG: bool."""
    return tf.strings.substr(data, 0, 3) == b"\xff\xd8\xff"


def first_bytes(data: tf.Tensor) -> tf.Tensor:
    """The first 32 bytes, with zeros behind shorter data: uint8 [32]."""
    return tf.io.decode_raw(data, tf.uint8, fixed_length=_BYTES)


def starts(header: tf.Tensor, magic: bytes, at: int = 0) -> tf.Tensor:
    """Whether the bytes from a place on are these: bool."""
    return tf.reduce_all(header[at : at + len(magic)] == list(magic))


def declared_shape(header: tf.Tensor) -> tf.Tensor:
    """(height, width) as PNG, GIF, BMP and WebP declare them: int64 [2]; (0, 0) for another format.

    Args:
        header: `first_bytes` of the image.
    """
    magic, compared, weights = _tables()
    known = tf.reduce_all(tf.where(compared, header, 0) == magic, -1)
    values = tf.cast(header, tf.int64)
    values = tf.concat([values, values - 256 * (values // 128)], 0)  # Also as signed bytes.
    numbers = tf.abs(tf.reduce_sum(weights * values, -1))
    shifts = np.array([[1 << shift for shift in h.shifts] for h in _HEADERS])
    bits = np.array([[1 << h.bits] for h in _HEADERS])
    shapes = numbers // shifts % bits + np.array([[h.plus] for h in _HEADERS])
    return tf.reduce_sum(tf.where(known[:, None], shapes, 0), 0)


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Magic bytes uint8 and where they stand bool, both [formats, 32]; weights of the bytes.

    The weights, int64 [formats, 2, 64], make height and width out of the bytes, taken first
    without and then with a sign.
    """
    magic = np.zeros([len(_HEADERS), _BYTES], np.uint8)
    compared = np.zeros(magic.shape, bool)
    weights = np.zeros([len(_HEADERS), 2, 2 * _BYTES], np.int64)
    for row, header in enumerate(_HEADERS):
        place = slice(header.at, header.at + len(header.magic))
        magic[row, place], compared[row, place] = list(header.magic), True
        for side, start in enumerate(header.sides):
            for byte in range(header.size):
                power = header.size - 1 - byte if header.order == "big" else byte
                signed = header.order == "signed" and byte == header.size - 1
                weights[row, side, start + byte + _BYTES * signed] = 1 << 8 * power
    return magic, compared, weights
