import numpy as np
import pytest

from toolkit.errors import OptionError
from toolkit.training.imbalance import (
    AUTO,
    CLASS_WEIGHTS,
    NONE,
    RESAMPLE,
    check_imbalance,
    choose_imbalance,
    class_weights,
    loss_weights,
    probe_weights,
)

LABELS = np.array([0] * 6 + [1] * 3 + [2] * 1)


def test_class_weights_are_those_of_the_formula():
    weights = class_weights(LABELS, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert weights.dtype == np.float32


def test_all_classes_then_count_the_same_and_images_1_on_average():
    weights = class_weights(LABELS, 3)
    np.testing.assert_allclose(np.bincount(LABELS) * weights, 10 / 3, rtol=1e-6)
    assert weights[LABELS].mean() == pytest.approx(1)


@pytest.mark.parametrize(("size", "classes"), [(7, 3), (1, 10), (333, 7)])
def test_classes_of_one_size_have_exactly_the_weight_1(size, classes):
    weights = class_weights(np.repeat(np.arange(classes), size), classes)
    np.testing.assert_array_equal(weights, 1)


def test_what_each_name_weights():
    balanced = class_weights(LABELS, 3)
    for weigh, weighted in [
        (loss_weights, {AUTO, CLASS_WEIGHTS}),
        (probe_weights, {AUTO, CLASS_WEIGHTS, RESAMPLE}),
    ]:
        for name in (NONE, AUTO, CLASS_WEIGHTS, RESAMPLE):
            found = weigh(name, LABELS, 3)
            assert (found is not None) == (name in weighted)
            if found is not None:
                np.testing.assert_array_equal(found, balanced)


@pytest.mark.parametrize(
    ("counts", "chosen", "ratio"),
    [((10, 10), NONE, "1.0"), ((15, 10), NONE, "1.5"), ((16, 10), CLASS_WEIGHTS, "1.6")],
)
def test_auto_leaves_classes_of_about_one_size_alone_and_says_why(counts, chosen, ratio):
    found, why = choose_imbalance(AUTO, np.repeat([0, 1], counts))
    assert found == chosen
    assert why == f"the largest class has {ratio} times as many training images as the smallest"


@pytest.mark.parametrize("name", [NONE, CLASS_WEIGHTS, RESAMPLE])
def test_what_is_asked_for_is_taken_without_a_word(name):
    assert choose_imbalance(name, LABELS) == (name, "")


def test_others_are_refused():
    with pytest.raises(OptionError) as error:
        check_imbalance("inverse")
    assert str(error.value) == (
        "--imbalance must be one of none, auto, class-weights, resample. Received: 'inverse'"
    )
