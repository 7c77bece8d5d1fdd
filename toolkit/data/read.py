"""Encoded bytes straight to the network's size: decodes no more of a JPEG than is needed."""

from collections.abc import Callable

import tensorflow as tf

from toolkit.data.decode import JPEG_OPTIONS, decode_other, jpeg_shape
from toolkit.data.exif import exif_orientation, is_transposed, mirrored_sides, turn
from toolkit.data.header import is_jpeg
from toolkit.data.prepare import Preparation, center_crop, center_window, resize

_RATIOS = [1, 2, 4, 8]
"""By which libjpeg can shrink an image while it decodes."""

_SPARE = 2
"""How many times the wanted side is to be left then, for `resize` to do the fine work."""


def make_reader(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that decodes, crops and resizes one image.

    It gives what `make_decoder` and `make_preparer` do, one after the other, but for what rounding
    leaves (JPEGs): of a JPEG only the part that is used is decoded, and a large one is shrunk while
    it is decoded.

    Returns:
        A function from a scalar string tensor to float32 [height, width, 3], values 0 to 255. It
        raises `tf.errors.InvalidArgumentError` where the bytes are no readable image.

    Example:
        >>> make_reader(Preparation(224, 224))(tf.io.read_file("photo.jpg")).shape
        TensorShape([224, 224, 3])
    """
    size = [preparation.height, preparation.width]

    @tf.autograph.experimental.do_not_convert
    def read(data: tf.Tensor) -> tf.Tensor:
        # Where nothing but data is passed between few operations, little is lost between them.
        part, orientation = tf.cond(
            is_jpeg(data),
            lambda: _decode_jpeg_part(data, size, preparation.max_pixels),
            lambda: (center_crop(decode_other(data, preparation.max_pixels), size), 1),
        )
        lying = tf.where(is_transposed(orientation), size[::-1], size)
        return tf.ensure_shape(turn(resize(part, lying), orientation), [*size, 3])

    return read


def _decode_jpeg_part(
    data: tf.Tensor, size: list[int], max_pixels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the part that is used, shrunk as far as it stays `_SPARE` times the wanted size.

    Returns:
        uint8 [H, W, 3] as it lies in the file, and its EXIF orientation.
    """
    shape, orientation = jpeg_shape(data, max_pixels), exif_orientation(data)
    lying = tf.where(is_transposed(orientation), size[::-1], size)
    start, stop = center_window(shape, lying, mirrored_sides(orientation))
    # TensorFlow does not read what is below the part, nor notice when it is missing. So unless the
    # data end as they should, all rows down to the last are decoded.
    complete = tf.strings.substr(data, -2, 2) == b"\xff\xd9"
    last = tf.where(complete, stop, tf.maximum(stop, shape * [1, 0]))

    larger = [tf.reduce_all(stop - start >= _SPARE * ratio * lying) for ratio in _RATIOS[1:]]
    choice = tf.math.count_nonzero(larger, dtype=tf.int32)
    ratio = tf.gather(_RATIOS, choice)
    start, stop, last = tf.unstack((tf.stack([start, stop, last]) + ratio // 2) // ratio)
    window = tf.concat([start, last - start], 0)
    decode = [
        lambda r=r: tf.image.decode_and_crop_jpeg(data, window, ratio=r, **JPEG_OPTIONS)
        for r in _RATIOS
    ]
    return tf.switch_case(choice, decode)[: (stop - start)[0]], orientation
