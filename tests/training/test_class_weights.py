import numpy as np
import pytest

from toolkit.errors import OptionError
from toolkit.training.class_weights import BALANCED, NONE, check_class_weights, class_weights

LABELS = np.array([0] * 6 + [1] * 3 + [2] * 1)


def test_balanced_weights_are_those_of_the_formula():
    weights = class_weights(BALANCED, LABELS, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert weights.dtype == np.float32


def test_all_classes_then_count_the_same_and_images_1_on_average():
    weights = class_weights(BALANCED, LABELS, 3)
    np.testing.assert_allclose(np.bincount(LABELS) * weights, 10 / 3, rtol=1e-6)
    assert weights[LABELS].mean() == pytest.approx(1)


@pytest.mark.parametrize(("size", "classes"), [(7, 3), (1, 10), (333, 7)])
def test_classes_of_one_size_have_exactly_the_weight_1(size, classes):
    weights = class_weights(BALANCED, np.repeat(np.arange(classes), size), classes)
    np.testing.assert_array_equal(weights, 1)


def test_none():
    assert class_weights(NONE, LABELS, 3) is None


def test_others_are_refused():
    with pytest.raises(OptionError) as error:
        check_class_weights("inverse")
    assert str(error.value) == (
        "--class-weights must be one of none, balanced. Received: 'inverse'"
    )
