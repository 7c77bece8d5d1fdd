import numpy as np
import pytest
import tensorflow as tf

from toolkit.data.targets import one_hot_batches, weighted_batches

IMAGES = np.arange(5, dtype=np.float32)
LABELS = np.array([2, 0, 1, 2, 2], np.int32)
TARGETS = np.array([[0.5, 0.5, 0], [0, 0.25, 0.75], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
WEIGHTS = np.array([4, 2, 0.5], np.float32)


def batches_of(labels):
    return tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(3)


def test_one_hot():
    batches = one_hot_batches(batches_of(LABELS), 3)
    images, targets = map(np.concatenate, zip(*batches.as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(targets, np.eye(3)[LABELS])
    assert targets.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "expected"), [(LABELS, [0.5, 4, 2, 0.5, 0.5]), (TARGETS, [3, 0.875, 4, 2, 0.5])]
)
def test_weights_are_those_of_the_class_or_their_mixture(labels, expected):
    batches = weighted_batches(batches_of(labels), WEIGHTS)
    images, same, weights = map(np.concatenate, zip(*batches.as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(same, labels)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights.dtype == np.float32


def test_without_weights_the_batches_stay_as_they_are():
    batches = batches_of(LABELS)
    assert weighted_batches(batches, None) is batches
