import numpy as np
import pytest

from toolkit.errors import OptionError
from toolkit.training.imbalance import (
    AUTO,
    CLASS_WEIGHTS,
    IMBALANCE,
    LOGITS,
    NONE,
    RESAMPLE,
    check_imbalance,
    choose_imbalance,
    class_weights,
    log_priors,
    loss_weights,
    probe_weights,
)
from toolkit.training.probe import fit_probe

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
        (loss_weights, {CLASS_WEIGHTS}),
        (probe_weights, {CLASS_WEIGHTS, RESAMPLE}),
    ]:
        for name in IMBALANCE:
            found = weigh(name, LABELS, 3)
            assert (found is not None) == (name in weighted)
            if found is not None:
                np.testing.assert_array_equal(found, balanced)


@pytest.mark.parametrize(
    ("counts", "chosen", "ratio"),
    [((10, 10), NONE, "1.0"), ((15, 10), NONE, "1.5"), ((16, 10), LOGITS, "1.6")],
)
def test_auto_leaves_classes_of_about_one_size_alone_and_says_why(counts, chosen, ratio):
    found, why = choose_imbalance(AUTO, np.repeat([0, 1], counts))
    assert found == chosen
    assert why == f"the largest class has {ratio} times as many training images as the smallest"


@pytest.mark.parametrize("name", [NONE, LOGITS, CLASS_WEIGHTS, RESAMPLE])
def test_what_is_asked_for_is_taken_without_a_word(name):
    assert choose_imbalance(name, LABELS) == (name, "")


def test_others_are_refused():
    with pytest.raises(OptionError) as error:
        check_imbalance("inverse")
    assert str(error.value) == (
        "--imbalance must be one of none, auto, logit-adjustment, class-weights, resample. "
        "Received: 'inverse'"
    )


def test_logits_are_adjusted_by_the_logarithms_of_the_classes_shares():
    for name in IMBALANCE:
        found = log_priors(name, LABELS, 3)
        assert (found is not None) == (name in (AUTO, LOGITS))
        if found is not None:
            assert found.dtype == np.float32 and found.sum() == pytest.approx(0, abs=1e-6)
            shares = np.exp(found) / np.exp(found).sum()
            np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], rtol=1e-6)


def test_lowered_by_them_logits_are_those_of_the_balanced_posterior():
    # Two classes 9 : 1 with known densities: the best logits do not know of the 9 : 1.
    random = np.random.default_rng(0)
    labels = (random.random(20000) < 0.1).astype(int)
    features = random.normal(size=(20000, 1)) + labels[:, None]
    priors = log_priors(LOGITS, labels, 2)
    probe = fit_probe(features, labels, features, labels, classes=2, strengths=(1e-4,))
    adjusted = probe.lowered(priors).bias
    # log p(x | 1) - log p(x | 0) = x - 1/2 for normal densities at 1 and 0.
    assert probe.kernel[0, 1] - probe.kernel[0, 0] == pytest.approx(1, abs=0.1)
    assert adjusted[1] - adjusted[0] == pytest.approx(-0.5, abs=0.1)
