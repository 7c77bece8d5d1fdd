"""Which part of an image is decoded and how it gets the network's size, from its header alone.

The same operations plan for one image in a graph and for all images of a table at once.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from toolkit.data.exif import mirrored_sides, stored_size
from toolkit.data.header import JPEG, PLAIN, WEBP, Header
from toolkit.data.prepare import Preparation, fitted_size, times_larger, window
from toolkit.data.table import FORMATS

RATIOS = (1, 2, 4, 8)
"""By which libjpeg can shrink an image while it decodes."""

_SPARE = 2
"""How many times the wanted side is to be left then, for `resize` to do the fine work."""

_CHROMA_MARGIN = np.array([0, 2])
"""Rows and columns around a part that have a say in its colours: as chroma is interpolated."""

_ALL_ROWS = np.array([1 << 16, 0])

_KINDS = np.array([{"JPEG": JPEG, "PNG": PLAIN, "WEBP": WEBP}.get(each, -1) for each in FORMATS])
"""Of each format, -1 where more than a table's headers tell is to be known."""


class Plan(NamedTuple):
    """What is done to an image, all of it int32, with leading axes [...] for many images.

    Attributes:
        decoder: [...]: its kind (see `toolkit.data.header`), of a JPEG with the place in `RATIOS`
            of what it is shrunk by added.
        window: [..., 4]: top, left, height and width of what is decoded of a JPEG, as it is shrunk.
        start: [..., 2]: first row and column, within what is decoded, of the part that is used.
        stop: [..., 2]: those behind its last.
        size: [..., 2]: height and width that the part is resized to, before it is turned.
        fits: [...]: 1 where that fits into the part, which is shrunk, 0 where it is enlarged.
        orientation: [...]: how it is to be turned then, after EXIF.
    """

    decoder: tf.Tensor
    window: tf.Tensor
    start: tf.Tensor
    stop: tf.Tensor
    size: tf.Tensor
    fits: tf.Tensor
    orientation: tf.Tensor


LENGTHS = {"window": 4, "start": 2, "stop": 2, "size": 2}
"""Of the last axes; the others have none."""


def make_plan(header: Header, preparation: Preparation) -> Plan:
    """Plans for an image, or for many, whose header's values then have leading axes."""
    size = stored_size(preparation.size, header.orientation)
    mirrored = mirrored_sides(header.orientation)
    start, stop = window(header.shape, size, preparation.crop, mirrored)
    size = fitted_size(stop - start, size, preparation.crop)
    times = times_larger(stop - start, size)

    is_jpeg = tf.cast(header.kind == JPEG, tf.int64)
    shrinks = tf.expand_dims(is_jpeg * times, -1) >= _SPARE * np.array(RATIOS[1:])
    choice = tf.reduce_sum(tf.cast(shrinks, tf.int32), -1)
    ratio = tf.expand_dims(tf.gather(np.array(RATIOS), choice), -1)
    start, stop = (start + ratio // 2) // ratio, (stop + ratio // 2) // ratio
    shape = -(-header.shape // ratio)
    low = tf.maximum(start - _CHROMA_MARGIN, 0)
    margin = _CHROMA_MARGIN + _ALL_ROWS * tf.expand_dims(header.is_cut, -1)
    high = tf.minimum(stop + margin, shape)
    low *= tf.expand_dims(is_jpeg, -1)  # All of any other image is decoded.
    return Plan(
        decoder=header.kind + choice,
        window=tf.cast(tf.concat([low, high - low], -1), tf.int32),
        start=tf.cast(start - low, tf.int32),
        stop=tf.cast(stop - low, tf.int32),
        size=tf.cast(size, tf.int32),
        fits=tf.cast(times > 0, tf.int32),
        orientation=header.orientation,
    )


def can_be_planned(headers: np.ndarray, preparation: Preparation) -> np.ndarray:
    """Of which of a table's images the headers tell all that a plan needs: bool [N].

    Of nearly all: of JPEG, PNG and WebP.
    """
    pixels = headers["height"].astype(np.int64) * headers["width"]
    in_bounds = (pixels > 0) & (pixels <= preparation.max_pixels)
    return in_bounds & (_KINDS[headers["format"]] >= 0)


def plan_rows(headers: np.ndarray, preparation: Preparation) -> Plan:
    """Plans for images that `can_be_planned`: int32 arrays [N, ...]."""
    count = len(headers)
    header = Header(
        kind=tf.constant(_KINDS[headers["format"]], tf.int32),
        shape=tf.constant(np.stack([headers["height"], headers["width"]], 1), tf.int64),
        orientation=tf.constant(headers["orientation"], tf.int32),
        is_cut=tf.constant(headers["is_cut"], tf.int64),
    )
    plan = make_plan(header, preparation)
    plan = plan._replace(size=tf.broadcast_to(plan.size, [count, 2]))
    return Plan(*(each.numpy() for each in plan))
