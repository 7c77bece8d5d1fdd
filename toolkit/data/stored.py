"""Batches of what was computed before for images: features and activations."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from toolkit.data.streams import ahead, epoch_numbers, epoch_rows
from toolkit.data.targets import make_row_labeller


class StoredRows(Protocol):
    """Rows that are read when they are taken."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Those with these indices: [len(indices), *shape]."""


def stored_batches(
    views: Sequence[StoredRows],
    labels: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    epochs: range,
    resample: bool = False,
    teacher: np.ndarray | None = None,
) -> tf.data.Dataset:
    """As `training_batches` of `toolkit.data.batches`, of what is kept of views of the images.

    Args:
        views: For each view, rows in the order of the labels; epoch k takes view k, and begins
            again at the first after the last.
        labels: int32 [N].
        batch_size: Rows in a batch.
        seed: Of the order, which is the same.
        epochs: The epochs to give, counted from 0.
        resample: Whether each class comes equally often, instead of each row once.
        teacher: What a teacher says of the images: float32 [N, classes].

    Returns:
        A data set of (float32 [B, ...], int32 [B]), with a teacher float32 [B, 2 classes].
    """
    label_rows = make_row_labeller(labels, teacher)
    shape = [None, *views[0].shape]

    def take(epoch: np.int64, rows: np.ndarray) -> np.ndarray:
        return views[int(epoch) % len(views)].take(rows).astype(np.float32)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        batches = epoch_rows(labels, seed, epoch, resample).batch(batch_size)
        return batches.map(
            lambda rows: (
                tf.ensure_shape(tf.numpy_function(take, [epoch, rows], tf.float32), shape),
                label_rows(rows),
            ),
        )

    return ahead(epoch_numbers(epochs).flat_map(epoch_batches))


def labelled_rows(rows: StoredRows, labels: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """As `labelled_batches` of `toolkit.data.batches`, of what is kept of the images."""
    shape = [None, *rows.shape]

    def take(indices: np.ndarray) -> np.ndarray:
        return rows.take(indices).astype(np.float32)

    batches = tf.data.Dataset.range(len(labels)).batch(batch_size)
    return ahead(
        batches.map(
            lambda indices: (
                tf.ensure_shape(tf.numpy_function(take, [indices], tf.float32), shape),
                tf.gather(tf.constant(labels), indices),
            )
        )
    )
