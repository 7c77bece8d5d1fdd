"""Files, or parts of them, to bytes in a pipeline."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from toolkit.data.parts import is_part, read_image
from toolkit.data.table import ImageTable


def make_loader(table: ImageTable) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that reads a table's images: a name, as a scalar string, to bytes.

    TensorFlow reads whole files alone. Only where some images are parts of files does Python read.
    """
    if not any(map(is_part, table.paths)):
        return tf.io.read_file

    def load(name: bytes | np.ndarray) -> bytes:  # As it is called in a graph, or eagerly.
        return read_image(os.fsdecode(np.asarray(name, object).item()))

    return lambda name: tf.ensure_shape(tf.numpy_function(load, [name], tf.string), [])
