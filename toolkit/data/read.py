"""Encoded bytes straight to the network's size: decodes no more of a JPEG than is needed."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from toolkit.data.decode import JPEG_OPTIONS, checked_header, other_decoders
from toolkit.data.exif import mirrored_sides, stored_size, turn
from toolkit.data.header import JPEG, Header
from toolkit.data.prepare import Preparation, fitted_size, pad, resize, times_larger, window

_RATIOS = np.array([1, 2, 4, 8])
"""By which libjpeg can shrink an image while it decodes."""

_SPARE = 2
"""How many times the wanted side is to be left then, for `resize` to do the fine work."""

SHRUNK_FROM = int(_SPARE * _RATIOS[1])
"""How many times larger than wanted a JPEG is at least that is shrunk while it is decoded."""

CHROMA_MARGIN = np.array([0, 2])
"""Rows and columns around a part that have a say in its colours: as chroma is interpolated."""

_ALL_ROWS = np.array([1 << 16, 0])


@functools.cache
def make_reader(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes, crops and resizes one image.

    It gives what `make_decoder` and then `make_preparer` give, but is faster with JPEGs: it decodes
    only the part that is used. One that is at least four times larger than needed is shrunk while
    it is decoded, which is not quite the same.

    Returns:
        A function from a scalar string tensor to float32 [height, width, 3], values 0 to 255. It
        raises `tf.errors.InvalidArgumentError` where the bytes are no readable image.

    Example:
        >>> make_reader(Preparation(224, 224))(tf.io.read_file("photo.jpg")).shape
        TensorShape([224, 224, 3])
    """

    # A function, and kept: so its graph is built once, not for each data set.
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def read(data: tf.Tensor) -> tf.Tensor:
        header = checked_header(data, preparation.max_pixels)
        size = stored_size(preparation.size, header.orientation)
        mirrored = mirrored_sides(header.orientation)
        start, stop = window(header.shape, size, preparation.crop, mirrored)
        size = fitted_size(stop - start, size, preparation.crop)
        times = times_larger(stop - start, size)
        part = _decode_part(data, header, start, stop, times)
        upright = turn(resize(part, size, times, preparation.crop), header.orientation)
        padded = pad(upright, preparation.size, preparation.crop)
        return tf.ensure_shape(padded, [*preparation.size, 3])

    return read


def _decode_part(
    data: tf.Tensor, header: Header, start: tf.Tensor, stop: tf.Tensor, times: tf.Tensor
) -> tf.Tensor:
    """Decodes the part from start to stop; of a JPEG no more, and not larger than needed."""
    is_jpeg = tf.cast(header.kind == JPEG, tf.int64)
    shrinks = is_jpeg * times >= _SPARE * _RATIOS[1:]
    choice = tf.reduce_sum(tf.cast(shrinks, tf.int32))
    ratio = tf.gather(_RATIOS, choice)
    start, stop = (start + ratio // 2) // ratio, (stop + ratio // 2) // ratio
    shape = -(-header.shape // ratio)
    low = tf.maximum(start - CHROMA_MARGIN, 0)
    high = tf.minimum(stop + CHROMA_MARGIN + _ALL_ROWS * _may_be_cut(data, header), shape)
    window = tf.cast(tf.concat([low, high - low], 0), tf.int32)

    decoders = other_decoders(data)
    for number, denominator in enumerate(_RATIOS.tolist()):
        decoders[JPEG + number] = functools.partial(
            tf.image.decode_and_crop_jpeg, data, window, ratio=denominator, **JPEG_OPTIONS
        )
    image = tf.switch_case(header.kind + choice, decoders)
    first = start - is_jpeg * low
    return tf.strided_slice(image, first, first + stop - start, np.array([1, 1]))


def _may_be_cut(data: tf.Tensor, header: Header) -> tf.Tensor:
    """Whether a JPEG does not end like one: int64, 0 or 1.

    TensorFlow does not read what lies below a part, nor notice where it is missing. So in this case
    all rows down to the last are to be decoded.
    """
    with tf.control_dependencies([header.kind]):
        end = tf.strings.substr(data, -2, 2)
    return tf.cast(end != b"\xff\xd9", tf.int64)
