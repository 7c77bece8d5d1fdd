"""Encoded bytes straight to the network's size: decodes no more of a JPEG than is needed."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from toolkit.data.decode import JPEG_OPTIONS, checked_header, other_decoders
from toolkit.data.exif import mirrored_sides, stored_size, turn
from toolkit.data.header import JPEG, NOTHING, Header, Known
from toolkit.data.prepare import Preparation, fitted_size, pad, resize, times_larger, window

_RATIOS = np.array([1, 2, 4, 8])
"""By which libjpeg can shrink an image while it decodes."""

_SPARE = 2
"""How many times the wanted side is to be left then, for `resize` to do the fine work."""

_CHROMA_MARGIN = np.array([0, 2])
"""Rows and columns around a part that have a say in its colours: as chroma is interpolated."""

_ALL_ROWS = np.array([1 << 16, 0])


@functools.cache
def make_reader(
    preparation: Preparation, known: Known = NOTHING
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes, crops and resizes one image.

    It gives what `make_decoder` and then `make_preparer` give, but is faster with JPEGs: it decodes
    only the part that is used. One that is at least four times larger than needed is shrunk while
    it is decoded, which is not quite the same.

    Args:
        preparation: What is done to the image.
        known: What is known of all images. Operations for whatever else they might be take time,
            0.05 s of each pass also where not one image needs them.

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
        return _read(data, [preparation], known)[0]

    return read


def make_joint_reader(
    preparations: Sequence[Preparation],
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Makes the function that gives one image in several preparations.

    It gives what a reader for each gives. Where all want the same part of the image at the same
    scale, as sizes do that hardly differ, it is decoded once.

    Args:
        preparations: At least one; the smallest `max_pixels` counts for all.
    """

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def read(data: tf.Tensor) -> list[tf.Tensor]:
        return _read(data, preparations)

    return read


class _Plan(NamedTuple):
    """What is done to an image for one preparation, before it is turned upright.

    Attributes:
        start: Its first row and column: int64 [2], as all.
        stop: Those behind its last.
        size: (height, width) that the part is resized to.
        times: How many times that fits into it.
        choice: The place in `_RATIOS` of what it is shrunk by while it is decoded: int32.
    """

    start: tf.Tensor
    stop: tf.Tensor
    size: tf.Tensor | np.ndarray
    times: tf.Tensor
    choice: tf.Tensor


def _read(
    data: tf.Tensor, preparations: Sequence[Preparation], known: Known = NOTHING
) -> list[tf.Tensor]:
    header = checked_header(data, min(each.max_pixels for each in preparations), known)
    plans = [_plan(header, each) for each in preparations]
    images = []
    for part, plan, preparation in zip(
        _decode_parts(data, header, plans), plans, preparations, strict=True
    ):
        resized = resize(part, plan.size, plan.times, preparation.crop)
        padded = pad(turn(resized, header.orientation), preparation.size, preparation.crop)
        images.append(tf.ensure_shape(padded, [*preparation.size, 3]))
    return images


def _plan(header: Header, preparation: Preparation) -> _Plan:
    size = stored_size(preparation.size, header.orientation)
    mirrored = mirrored_sides(header.orientation)
    start, stop = window(header.shape, size, preparation.crop, mirrored)
    size = fitted_size(stop - start, size, preparation.crop)
    times = times_larger(stop - start, size)
    shrinks = _is_jpeg(header) * times >= _SPARE * _RATIOS[1:]
    return _Plan(start, stop, size, times, tf.reduce_sum(tf.cast(shrinks, tf.int32)))


def _is_jpeg(header: Header) -> tf.Tensor:
    if header.kind is None:
        return tf.constant(1, tf.int64)
    return tf.cast(header.kind == JPEG, tf.int64)


def _decode_parts(data: tf.Tensor, header: Header, plans: Sequence[_Plan]) -> list[tf.Tensor]:
    """The part of each plan; decoded once, where all are the same."""

    def decode_each() -> list[tf.Tensor]:
        return [_decode_part(data, header, plan) for plan in plans]

    if len(plans) == 1:
        return decode_each()
    wanted = [[plan.start, plan.stop, tf.cast(plan.choice, tf.int64)[None]] for plan in plans]
    rows = tf.stack([tf.concat(each, axis=0) for each in wanted])
    return tf.cond(
        tf.reduce_all(rows == rows[0]),
        lambda: [_decode_part(data, header, plans[0])] * len(plans),
        decode_each,
    )


def _decode_part(data: tf.Tensor, header: Header, plan: _Plan) -> tf.Tensor:
    """Decodes the part of a plan; of a JPEG no more, and not larger than needed."""
    ratio = tf.gather(_RATIOS, plan.choice)
    start, stop = (plan.start + ratio // 2) // ratio, (plan.stop + ratio // 2) // ratio
    shape = -(-header.shape // ratio)
    low = tf.maximum(start - _CHROMA_MARGIN, 0)
    high = tf.minimum(stop + _CHROMA_MARGIN + _ALL_ROWS * _may_be_cut(data, header), shape)
    window = tf.cast(tf.concat([low, high - low], 0), tf.int32)

    decoders = {} if header.kind is None else other_decoders(data)
    at = len(decoders)
    for number, denominator in enumerate(_RATIOS.tolist()):
        decoders[at + number] = functools.partial(
            tf.image.decode_and_crop_jpeg, data, window, ratio=denominator, **JPEG_OPTIONS
        )
    kind = plan.choice if header.kind is None else header.kind + plan.choice
    image = tf.switch_case(kind, decoders)
    first = start - _is_jpeg(header) * low
    return tf.strided_slice(image, first, first + stop - start, np.array([1, 1]))


def _may_be_cut(data: tf.Tensor, header: Header) -> tf.Tensor:
    """Whether a JPEG does not end like one: int64, 0 or 1.

    TensorFlow does not read what lies below a part, nor notice where it is missing. So in this case
    all rows down to the last are to be decoded.
    """
    with tf.control_dependencies([header.shape]):
        end = tf.strings.substr(data, -2, 2)
    return tf.cast(end != b"\xff\xd9", tf.int64)
