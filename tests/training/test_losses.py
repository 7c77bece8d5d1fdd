"""The losses against values worked out by hand, and Keras' own."""

import keras
import numpy as np
import pytest

from toolkit.errors import OptionError
from toolkit.training.losses import CROSS_ENTROPY, FOCAL, LOSSES, check_loss, make_loss

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]], np.float32)
LOGITS = np.log(PROBABILITIES) + np.array([[3], [-2], [0]], np.float32)
LABELS = np.array([0, 1, 1], np.int32)
SHARES = np.eye(3, dtype=np.float32)[LABELS]


def values(name, labels, smoothing=0.0, logits=LOGITS):
    return np.array(make_loss(name, smoothing)(labels, keras.ops.convert_to_tensor(logits)))


def test_reference_values():
    np.testing.assert_allclose(values(CROSS_ENTROPY, LABELS), -np.log([0.7, 0.1, 0.5]), rtol=1e-5)
    expected = -(np.array([0.3, 0.9, 0.5]) ** 2) * np.log([0.7, 0.1, 0.5])
    np.testing.assert_allclose(values(FOCAL, LABELS), expected, rtol=1e-5)
    # A tenth of the label is spread over three classes.
    shares = 0.9 * SHARES + 0.1 / 3
    expected = -(shares * np.log(PROBABILITIES)).sum(1)
    np.testing.assert_allclose(values(CROSS_ENTROPY, LABELS, 0.1), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_they_are_keras_own_where_it_has_them(smoothing):
    cross_entropy = keras.losses.categorical_crossentropy(
        SHARES, LOGITS, from_logits=True, label_smoothing=smoothing
    )
    focal = keras.losses.categorical_focal_crossentropy(
        SHARES, LOGITS, alpha=1.0, gamma=2.0, from_logits=True, label_smoothing=smoothing
    )
    for name, expected in [(CROSS_ENTROPY, cross_entropy), (FOCAL, focal)]:
        np.testing.assert_allclose(values(name, SHARES, smoothing), expected, rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_numbers_columns_and_one_hot_labels_are_the_same(name, smoothing):
    expected = values(name, SHARES, smoothing)
    np.testing.assert_allclose(values(name, LABELS, smoothing), expected, rtol=1e-6)
    np.testing.assert_allclose(values(name, LABELS[:, None], smoothing), expected, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_of_a_mixed_label_it_is_the_mixture(name):
    other = np.eye(3, dtype=np.float32)[[2, 2, 0]]
    mixed = values(name, 0.3 * SHARES + 0.7 * other)
    expected = 0.3 * values(name, SHARES) + 0.7 * values(name, other)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_label_thought_impossible_still_counts(name):
    logits = np.array([[60.0, 0.0, 0.0]], np.float32)
    assert values(name, np.array([1]), logits=logits) == pytest.approx(60)


def test_others_are_refused():
    with pytest.raises(OptionError) as error:
        check_loss("hinge")
    assert str(error.value) == ("--loss must be one of cross-entropy, focal. Received: 'hinge'")
