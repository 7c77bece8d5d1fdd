"""What all streams of batches have in common: the order of their rows, and being ready in time."""

import numpy as np
import tensorflow as tf

from toolkit.data.order import resampled_rows, shuffled_rows


def ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Makes two batches ready before they are asked for, on all cores."""
    options = tf.data.Options()
    # Each map uses all cores without tuning, which an iterator's end would wait for: up to 0.3 s.
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)


def epoch_numbers(epochs: range) -> tf.data.Dataset:
    """The epochs, one after another: int64."""
    return tf.data.Dataset.from_tensor_slices(np.array(epochs, np.int64))


def epoch_rows(labels: np.ndarray, seed: int, epoch: tf.Tensor, resample: bool) -> tf.data.Dataset:
    """The rows of an epoch in their order, int64; see `toolkit.data.order`."""

    def order(epoch: np.int64) -> np.ndarray:
        if resample:
            return resampled_rows(labels, seed, int(epoch))
        return shuffled_rows(len(labels), seed, int(epoch))

    rows = tf.ensure_shape(tf.numpy_function(order, [epoch], tf.int64), [len(labels)])
    return tf.data.Dataset.from_tensor_slices(rows)
