"""What batches carry beside their images: labels, one-hot or mixed ones, and weights."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from toolkit.data.mix import NONE, mix_batch, one_hot
from toolkit.data.table import ImageTable


def make_labeller(
    table: ImageTable, mix: str, seed: int, teacher: np.ndarray | None = None
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Makes the function that adds a batch's labels to its images, and may mix both.

    Args:
        table: The training split.
        mix: One of `toolkit.data.mix.MIXES`.
        seed: With the epoch and the batch's rows, it decides what is mixed.
        teacher: See `make_row_labeller`; only where nothing is mixed.

    Returns:
        A function of images float32 [B, H, W, 3], their rows int64 [B] and the epoch; it gives
        images and labels as `make_row_labeller` does, or mixed images and targets float32 [B, K].
    """
    if mix == NONE:
        label_rows = make_row_labeller(table.labels, teacher)
        return lambda images, rows, epoch: (images, label_rows(rows))
    classes = len(table.classes)

    def draw(
        images: np.ndarray, rows: np.ndarray, epoch: np.int64
    ) -> tuple[np.ndarray, np.ndarray]:
        return mix_batch(images, table.labels[rows], classes, mix, [seed, int(epoch), *rows])

    def label(images: tf.Tensor, rows: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        mixed, targets = tf.numpy_function(draw, [images, rows, epoch], [tf.float32, tf.float32])
        return tf.ensure_shape(mixed, images.shape), tf.ensure_shape(targets, [None, classes])

    return label


def make_row_labeller(
    labels: np.ndarray, teacher: np.ndarray | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function from rows int64 [B] to what is to be learned of them.

    Args:
        labels: int32 [N].
        teacher: What a teacher says of the images, float32 [N, K], or None. It may lie on disk:
            only the rows that are asked for are read.

    Returns:
        A function that gives labels int32 [B]; with a teacher targets float32 [B, 2K], the one-hot
        labels and beside them the teacher's probabilities.
    """
    if teacher is None:
        known = tf.constant(labels)
        return lambda rows: tf.gather(known, rows)
    classes = teacher.shape[1]

    def take(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([one_hot(labels[rows], classes), teacher[rows]], axis=1)

    return lambda rows: tf.ensure_shape(
        tf.numpy_function(take, [rows], tf.float32), [None, 2 * classes]
    )


def one_hot_batches(batches: tf.data.Dataset, classes: int) -> tf.data.Dataset:
    """Batches (images, labels int [B]) as (images, targets float32 [B, K]), K being `classes`."""
    return batches.map(lambda images, labels: (images, tf.one_hot(labels, classes)))


def weighted_batches(batches: tf.data.Dataset, class_weights: np.ndarray | None) -> tf.data.Dataset:
    """Adds to each image the weight of its class, or the mixture of its classes' weights.

    Args:
        batches: (images, labels int [B]) or (images, targets float32 [B, K]), or [B, 2K] where
            a teacher's probabilities stand beside the labels.
        class_weights: float32 [K]; None: the batches stay as they are.

    Returns:
        A data set of (images, labels or targets, weights float32 [B]), as Keras' `fit` takes it.
        (Its `class_weight` takes no mixed labels.)
    """
    if class_weights is None:
        return batches
    weights = tf.constant(class_weights, tf.float32)

    def weigh(labels: tf.Tensor) -> tf.Tensor:
        if labels.dtype.is_integer:
            return tf.gather(weights, labels)
        return tf.linalg.matvec(labels[:, : weights.shape[0]], weights)

    return batches.map(lambda images, labels: (images, labels, weigh(labels)))
