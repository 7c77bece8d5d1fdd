"""JPEGs of which everything is known before they are decoded: read with fewer operations.

TensorFlow takes about as long for the operations that look into a file's header, also for those in
branches that are not taken, as for half of a small photo's pixels. Most photos do not need them:
`scan` has opened each file already.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from toolkit.data.decode import JPEG_OPTIONS
from toolkit.data.prepare import CENTER, PAD, SQUASH, Preparation
from toolkit.data.read import CHROMA_MARGIN, SHRUNK_FROM

OTHER, SHRINKS, GROWS = range(3)
"""Files that are not plain, and what is done to plain ones."""


def plain_windows(shapes: np.ndarray, preparation: Preparation) -> tuple[np.ndarray, np.ndarray]:
    """What to decode of plain JPEGs.

    Args:
        shapes: (height, width) of complete JPEGs that need no turning, int [N, 2]; (0, 0) for
            all others.
        preparation: What they are prepared for.

    Returns:
        SHRINKS or GROWS, int [N], for those that `make_plain_reader` can read: not so large that
        they are shrunk while they are decoded, and not padded; otherwise OTHER. And int32
        [N, 2, 4], the window to decode and the one to take out of that: top, left, height, width.
    """
    size = preparation.size
    sides = shapes
    if preparation.crop == CENTER:
        sides = np.minimum(shapes, shapes[:, ::-1] * size // size[::-1])
    times = (sides // size).min(axis=1)
    kinds = np.where(times < 1, GROWS, SHRINKS)
    kinds[(sides.min(axis=1) < 1) | (times >= SHRUNK_FROM) | (preparation.crop == PAD)] = OTHER
    start = (shapes - sides) // 2
    low = np.maximum(start - CHROMA_MARGIN, 0)
    high = np.minimum(start + sides + CHROMA_MARGIN, shapes)
    windows = np.stack([np.hstack([low, high - low]), np.hstack([start - low, sides])], axis=1)
    return kinds, windows.astype(np.int32)


def make_plain_reader(
    preparation: Preparation, kind: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Makes the function that decodes, crops and resizes plain JPEGs, as `make_reader`'s does.

    Args:
        preparation: What they are prepared for.
        kind: SHRINKS or GROWS.

    Returns:
        A function from a scalar string and windows, int32 [2, 4], to float32 [height, width, 3].
    """
    size, antialias = preparation.size.astype(np.int32), preparation.crop == SQUASH

    def resize(part: tf.Tensor) -> tf.Tensor:
        if kind == SHRINKS:
            return tf.raw_ops.ResizeArea(images=part[None], size=size)[0]
        return tf.image.resize(part, size, "bilinear", antialias=antialias)

    def read(data: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        decoded = tf.image.decode_and_crop_jpeg(data, windows[0], **JPEG_OPTIONS)
        top, left, height, width = tf.unstack(windows[1])
        part = tf.cast(decoded[top : top + height, left : left + width], tf.float32)
        return tf.ensure_shape(tf.minimum(resize(part), 255.0), [*preparation.size, 3])

    return read
