"""From a table's rows to its images, in a graph."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from toolkit.data.load import make_loader
from toolkit.data.plan import can_be_planned
from toolkit.data.prepare import Preparation
from toolkit.data.read import make_planned_reader, make_reader
from toolkit.data.table import ImageTable

ReadRow = Callable[[tf.Tensor], tf.Tensor]
"""From a row, scalar int64, to its image, float32 [height, width, 3]."""


def plannable_rows(table: ImageTable, preparation: Preparation) -> np.ndarray:
    """The rows that can be planned, int64; last those that may be cut, to damage no others' batch.

    Of files that were not looked into it is none, as their headers are of no pixels.
    """
    headers = table.known_headers()
    rows = np.flatnonzero(can_be_planned(headers, preparation))
    return rows[np.argsort(headers["is_cut"][rows], kind="stable")]


def make_row_reader(table: ImageTable, preparation: Preparation) -> ReadRow:
    """Makes the function that reads a table's images: the planned one, if all can be planned."""
    if 0 < len(table) == len(plannable_rows(table, preparation)):
        return make_planned_row_reader(table, preparation)
    return make_plain_row_reader(table, preparation)


def make_planned_row_reader(table: ImageTable, preparation: Preparation) -> ReadRow:
    """Makes the function that reads images which all can be planned (see `make_planned_reader`)."""
    load, read = _make_row_loader(table), make_planned_reader(table.known_headers(), preparation)
    return lambda row: read(load(row), row)


def make_plain_row_reader(table: ImageTable, preparation: Preparation) -> ReadRow:
    """Makes the function that reads images of which nothing is known."""
    load, read = _make_row_loader(table), make_reader(preparation)
    return lambda row: read(load(row))


def _make_row_loader(table: ImageTable) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function from a row to its image's bytes."""
    load = make_loader(table)
    files = tf.constant(table.files(), tf.string, shape=[len(table)])
    return lambda row: load(tf.gather(files, row))
