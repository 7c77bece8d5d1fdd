"""What batches carry beside their images: one-hot labels, and weights."""

import numpy as np
import tensorflow as tf


def one_hot_batches(batches: tf.data.Dataset, classes: int) -> tf.data.Dataset:
    """Batches (images, labels int [B]) as (images, targets float32 [B, K]), K being `classes`."""
    return batches.map(lambda images, labels: (images, tf.one_hot(labels, classes)))


def weighted_batches(batches: tf.data.Dataset, class_weights: np.ndarray | None) -> tf.data.Dataset:
    """Adds to each image the weight of its class, or the mixture of its classes' weights.

    Args:
        batches: (images, labels int [B]) or (images, targets float32 [B, K]).
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
        return tf.linalg.matvec(labels, weights)

    return batches.map(lambda images, labels: (images, labels, weigh(labels)))
