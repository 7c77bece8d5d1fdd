"""Encoded bytes straight to the network's size: decodes no more of a JPEG than is needed."""

import functools
import json
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from toolkit.data.decode import JPEG_OPTIONS, checked_header, other_decoders
from toolkit.data.exif import turn
from toolkit.data.header import JPEG
from toolkit.data.plan import LENGTHS, RATIOS, Plan, make_plan, plan_rows
from toolkit.data.prepare import Preparation, pad, resize

_ALL_DECODERS = range(JPEG + len(RATIOS))


@functools.cache
def make_reader(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes, crops and resizes one image.

    It gives what `make_decoder` and then `make_preparer` give, but is faster with JPEGs: it decodes
    only the part that is used. One that is at least four times larger than needed is shrunk while
    it is decoded, which is not quite the same.

    Args:
        preparation: What is done to the image.

    Returns:
        A function from a scalar string tensor to float32 [height, width, 3], values 0 to 255.01. It
        raises `tf.errors.InvalidArgumentError` where the bytes are no readable image.

    Example:
        >>> make_reader(Preparation(224, 224))(tf.io.read_file("photo.jpg")).shape
        TensorShape([224, 224, 3])
    """
    read_jointly = make_joint_reader([preparation])
    return lambda data: read_jointly(data)[0]


def make_joint_reader(
    preparations: Sequence[Preparation],
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Makes the function that gives one image in several preparations.

    It gives what a reader for each gives. Where all want the same part of the image at the same
    scale, as sizes do that hardly differ, it is decoded once.

    Args:
        preparations: At least one; the smallest `max_pixels` counts for all.
    """

    # A function, and kept: so its graph is built once, not for each data set.
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def read(data: tf.Tensor) -> list[tf.Tensor]:
        header = checked_header(data, min(each.max_pixels for each in preparations))
        plans = [make_plan(header, each) for each in preparations]
        parts = _decode_parts(data, plans)
        return [_finish(*each) for each in zip(parts, plans, preparations, strict=True)]

    return read


def make_planned_reader(
    headers: np.ndarray, preparation: Preparation
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Makes the function that reads a table's images without looking at what they are.

    It gives what `make_reader` gives, but is faster by a tenth or more, as all is decided before
    any image is read, and what not one image needs is not in the graph.

    Args:
        headers: What `scan` has seen, `toolkit.data.table.HEADER` [N], of images that all
            `can_be_planned`.
        preparation: What is done to the images.

    Returns:
        A function of an image's bytes and its row, a scalar int64 tensor. Of a file that is no
        longer what its header says, it raises `tf.errors.InvalidArgumentError` or gives another
        part than `make_reader`.
    """
    plans = plan_rows(headers, preparation)
    used, places = np.unique(plans.decoder, return_inverse=True)
    plans = plans._replace(decoder=places.astype(np.int32))
    alike = {name: v[0].tolist() for name, v in plans._asdict().items() if (v == v[:1]).all()}
    alike.pop("window", None)  # So that the rest is never empty.
    read = _make_plan_reader(preparation, tuple(used.tolist()), json.dumps(alike))
    own = [v.reshape(len(v), -1) for name, v in plans._asdict().items() if name not in alike]
    table = tf.constant(np.concatenate(own, 1))
    return lambda data, row: read(data, tf.gather(table, row))


@functools.cache
def _make_plan_reader(
    preparation: Preparation, used: Sequence[int], alike: str
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Makes the function of an image's bytes and those values of its plan that are its own.

    Args:
        preparation: What is done to the images.
        used: The decoders that are needed.
        alike: The other values, by name, as JSON.
    """
    same = json.loads(alike)
    names = [name for name in Plan._fields if name not in same]
    lengths = [LENGTHS.get(name, 1) for name in names]

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([sum(lengths)], tf.int32)],
        autograph=False,
    )
    def read(data: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        values = {name: tf.constant(value) for name, value in same.items()}
        for name, value in zip(names, tf.split(own, lengths), strict=True):
            values[name] = value if name in LENGTHS else value[0]
        plan = Plan(**values)
        return _finish(_decode_part(data, plan, used), plan, preparation)

    return read


def _finish(part: tf.Tensor, plan: Plan, preparation: Preparation) -> tf.Tensor:
    resized = resize(part, plan.size, plan.fits, preparation.crop)
    padded = pad(turn(resized, plan.orientation), preparation.size, preparation.crop)
    return tf.ensure_shape(padded, [*preparation.size, 3])


def _decode_parts(data: tf.Tensor, plans: Sequence[Plan]) -> list[tf.Tensor]:
    """The part of each plan; decoded once, where all are the same."""

    def decode_each() -> list[tf.Tensor]:
        return [_decode_part(data, plan) for plan in plans]

    if len(plans) == 1:
        return decode_each()
    wanted = [[plan.decoder[None], plan.window, plan.start, plan.stop] for plan in plans]
    rows = tf.stack([tf.concat(each, axis=0) for each in wanted])
    return tf.cond(
        tf.reduce_all(rows == rows[0]),
        lambda: [_decode_part(data, plans[0])] * len(plans),
        decode_each,
    )


def _decode_part(data: tf.Tensor, plan: Plan, used: Sequence[int] = _ALL_DECODERS) -> tf.Tensor:
    """Decodes the part of a plan, whose decoder is a place in `used`."""
    decoders = other_decoders(data)
    for number, ratio in enumerate(RATIOS):
        decoders[JPEG + number] = functools.partial(
            tf.image.decode_and_crop_jpeg, data, plan.window, ratio=ratio, **JPEG_OPTIONS
        )
    image = _choose(plan.decoder, [decoders[each] for each in used])
    return tf.strided_slice(image, plan.start, plan.stop, np.array([1, 1], np.int32))


def _choose(place: tf.Tensor, functions: Sequence[Callable[[], tf.Tensor]]) -> tf.Tensor:
    if len(functions) == 1:  # The graph does without what is never needed.
        return functions[0]()
    return tf.switch_case(place, dict(enumerate(functions)))
