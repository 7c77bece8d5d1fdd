"""Batches of prepared images, streamed from the files with tf.data."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from toolkit.data.mix import NONE
from toolkit.data.prepare import Preparation
from toolkit.data.row_readers import (
    ReadRow,
    make_plain_row_reader,
    make_planned_row_reader,
    make_row_reader,
    plannable_rows,
)
from toolkit.data.streams import ahead, epoch_numbers, epoch_rows
from toolkit.data.table import ImageTable
from toolkit.data.targets import make_labeller
from toolkit.data.views import Views, content_numbers


def image_batches(
    table: ImageTable, preparation: Preparation, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Streams a table's images, leaving out those that cannot be decoded.

    They come in the table's order, but for unusual ones (BMP, GIF, JPEGs that may be cut short) and
    those that were to come in a batch with a damaged one, which follow at the end.

    Yields:
        Row numbers int64 [B] and images float32 [B, height, width, 3], values 0 to 255.01. The rows
        that never appear are the damaged ones: `decoding_problems` says what is wrong with them.
    """
    return _readable(table, preparation, batch_size)


def view_batches(
    table: ImageTable,
    preparation: Preparation,
    batch_size: int,
    views: Views,
    numbers: Sequence[int],
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Streams numbered views of a table's images, each image decoded once.

    Yields:
        Row numbers int64 [B], the view's number, and images float32 [B, height, width, 3].
    """
    draw = _make_drawer(table, preparation, views)
    wanted = tf.data.Dataset.from_tensor_slices(np.array(numbers, np.int64))

    def draw_views(batches: tf.data.Dataset) -> tf.data.Dataset:
        return (
            batches.prefetch(1)
            .flat_map(lambda rows, images: wanted.map(lambda number: (rows, number, images)))
            .map(
                lambda rows, number, images: (rows, number, draw(images, rows, number)),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        )

    return _readable(table, preparation, batch_size, draw_views)


def _readable(
    table: ImageTable,
    preparation: Preparation,
    batch_size: int,
    then: Callable[[tf.data.Dataset], tf.data.Dataset] = lambda batches: batches,
) -> Iterator:
    """Batches of row numbers and images, or what is made of them, that begins with the rows."""
    missing = np.ones(len(table), bool)

    def stream(make: Callable[..., tf.data.Dataset], rows: np.ndarray) -> Iterator:
        if not len(rows):
            return  # To make nothing ready would take as long.
        batches = make(table, preparation, batch_size, rows)
        for batch in ahead(then(batches)).as_numpy_iterator():
            missing[batch[0]] = False
            yield batch

    yield from stream(_planned, plannable_rows(table, preparation))
    yield from stream(_singly, np.flatnonzero(missing))


def _planned(
    table: ImageTable, preparation: Preparation, batch_size: int, rows: np.ndarray
) -> tf.data.Dataset:
    """Batches of images that can be planned, but those with a damaged one.

    Images go straight into their batch, which takes a twentieth less time than to collect those
    that could be decoded.
    """
    read = make_planned_row_reader(table.rows(rows), preparation)
    return _numbered(read, rows).batch(batch_size).ignore_errors()


def _singly(
    table: ImageTable, preparation: Preparation, batch_size: int, rows: np.ndarray
) -> tf.data.Dataset:
    """Batches of images of which nothing is known."""
    read = make_plain_row_reader(table.rows(rows), preparation)
    return _numbered(read, rows).ignore_errors().batch(batch_size)


def _numbered(read: ReadRow, numbers: np.ndarray) -> tf.data.Dataset:
    """All images that a function reads, each with a number."""
    rows = tf.data.Dataset.from_tensor_slices((np.arange(len(numbers)), numbers))
    return rows.map(lambda row, number: (number, read(row)), num_parallel_calls=tf.data.AUTOTUNE)


def labelled_batches(
    table: ImageTable, preparation: Preparation, batch_size: int
) -> tf.data.Dataset:
    """Images and labels in the table's order, once, never augmented: for validation and test.

    Returns:
        A data set of (float32 [B, height, width, 3], int32 [B]).
    """
    read = make_row_reader(table, preparation)
    rows = tf.data.Dataset.from_tensor_slices((np.arange(len(table)), table.labels))
    images = rows.map(lambda row, label: (read(row), label), num_parallel_calls=tf.data.AUTOTUNE)
    return ahead(images.batch(batch_size))


def training_batches(
    table: ImageTable,
    preparation: Preparation,
    batch_size: int,
    *,
    views: Views,
    epochs: range,
    mix: str = NONE,
    resample: bool = False,
    teacher: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented and perhaps mixed batches of all the epochs, one after another.

    Order and augmentation follow from the seed, the epoch and the image alone, what is mixed from
    the seed, the epoch and the batch's images: they differ from epoch to epoch, are the same for
    the same seed, and a run that is resumed at an epoch goes on with what an uninterrupted one
    would have seen.

    Args:
        table: The training split.
        preparation: What is done to each image first.
        batch_size: Images in a batch; an epoch's last batch may be smaller.
        views: How images are augmented: view k in epoch k.
        epochs: The epochs to give, counted from 0.
        mix: How a batch's images are mixed after that: one of `toolkit.data.mix.MIXES`.
        resample: Whether each class comes equally often, instead of each image once.
        teacher: What a teacher says of the images: float32 [N, classes]. Nothing is mixed then.

    Returns:
        A data set of (float32 [B, height, width, 3], int32 [B]), with mixed labels float32
        [B, classes], with a teacher [B, 2 classes]; `len(epochs)` times
        `steps_per_epoch(len(table), batch_size)` batches long.
    """
    read = make_row_reader(table, preparation)
    draw = _make_drawer(table, preparation, views)
    label = make_labeller(table, mix, views.seed, teacher)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = epoch_rows(table.labels, views.seed, epoch, resample)
        images = rows.map(lambda row: (read(row), row), num_parallel_calls=tf.data.AUTOTUNE)
        return images.batch(batch_size).map(
            lambda images, rows: label(draw(images, rows, epoch), rows, epoch),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    return ahead(epoch_numbers(epochs).flat_map(epoch_batches))


def _make_drawer(
    table: ImageTable, preparation: Preparation, views: Views
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Makes the function (images, rows, number) that draws a numbered view of a batch."""
    if views.augment is None:
        return lambda images, rows, number: images
    contents = content_numbers(table)

    def draw(images: np.ndarray, rows: np.ndarray, number: np.int64) -> np.ndarray:
        return views.draw(images, contents[rows], int(number))

    shape = [None, preparation.height, preparation.width, 3]
    return lambda images, rows, number: tf.ensure_shape(
        tf.numpy_function(draw, [images, rows, number], tf.float32), shape
    )
