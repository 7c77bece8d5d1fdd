import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss

from tests.ensembles.predictions import log_loss, make_predictions
from toolkit.ensembles.calibration import (
    TINY,
    apply_temperature,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability,
)


def calibrated(n, k, seed=0):
    """Logits and labels that are drawn from them: at temperature 1 nothing can be mended."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=1.5, size=(n, k))
    probabilities = softmax(logits)
    labels = (probabilities.cumsum(axis=1) < random.random((n, 1))).sum(axis=1).clip(max=k - 1)
    return labels, logits


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("k", [2, 10, 300])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_left_out_is_found(k, temperature):
    labels, logits = calibrated(4000, k)
    probabilities = softmax(logits * temperature)  # Too sure of itself, for temperatures above 1.
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.12)


def test_it_agrees_with_brute_force():
    labels, [probabilities] = make_predictions(members=1)
    found = fit_temperature(labels, probabilities)
    losses = {
        t: log_loss(labels, apply_temperature(probabilities, t)) for t in np.arange(0.2, 5, 0.01)
    }
    assert found == pytest.approx(min(losses, key=losses.get), abs=0.01)
    brent = minimize_scalar(
        lambda t: log_loss(labels, apply_temperature(probabilities, t)), bracket=(0.5, 2)
    )
    assert found == pytest.approx(brent.x, rel=1e-4)


def test_scaling_mends_what_is_too_sure():
    labels, logits = calibrated(4000, 10)
    too_sure = softmax(3 * logits)
    mended = apply_temperature(too_sure[2000:], fit_temperature(labels[:2000], too_sure[:2000]))
    held_out = labels[2000:]
    for measure in (expected_calibration_error, brier_score, log_loss):
        assert measure(held_out, mended) < measure(held_out, too_sure[2000:])
    assert expected_calibration_error(held_out, mended) < 0.04


def test_temperatures_keep_the_predicted_class():
    _, [probabilities] = make_predictions(members=1)
    np.testing.assert_allclose(apply_temperature(probabilities, 1), probabilities, atol=1e-12)
    for temperature in (0.05, 0.7, 20):
        found = apply_temperature(probabilities, temperature)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    expected = np.array([0.8**0.5, 0.2**0.5])
    np.testing.assert_allclose(apply_temperature([[0.8, 0.2]], 2), [expected / expected.sum()])


def test_a_perfect_classifier_gets_the_lowest_temperature():
    labels = np.array([0, 1, 0])
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    assert fit_temperature(labels, probabilities) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(1 - labels, probabilities) == pytest.approx(20, rel=1e-3)


@pytest.mark.parametrize("right", [30, 24])
def test_few_images_move_the_temperature_less_than_many(right):
    labels = np.repeat([0, 1], [right, 30 - right])
    probabilities = np.tile([0.9, 0.1], (30, 1))
    freely = fit_temperature(labels, probabilities)
    few = fit_temperature(labels, probabilities, spread=0.3)
    many = fit_temperature(np.tile(labels, 50), np.tile(probabilities, (50, 1)), spread=0.3)
    assert abs(np.log(few)) < abs(np.log(many)) < abs(np.log(freely))

    def doubted_loss(temperature):
        scaled = apply_temperature(probabilities, temperature)[range(30), labels]
        return -np.log(scaled).sum() + np.log(temperature) ** 2 / (2 * 0.3**2)

    assert few == pytest.approx(minimize_scalar(doubted_loss, (0.2, 1, 5)).x, rel=1e-4)


def test_the_logarithms_of_a_softmax_are_its_logits():
    logits = np.array([[0.0, 30.0, 60.0], [1.0, 0.0, -70.0]])
    probabilities = softmax(logits).astype(np.float32)
    found = apply_temperature(probabilities, 10, floor=TINY)
    np.testing.assert_allclose(found, softmax(logits / 10), rtol=1e-5)
    assert np.abs(apply_temperature(probabilities, 10) - found).max() > 0.05, "with 1e-7, they lie"


def test_calibration_error_worked_out_by_hand():
    # Two images with 0.8, one of them right; one with 0.62, right: bins 12 and 10 of 15.
    probabilities = np.array([[0.8, 0.2], [0.2, 0.8], [0.62, 0.38]])
    labels = np.array([0, 0, 0])
    expected = 2 / 3 * abs(0.5 - 0.8) + 1 / 3 * abs(1 - 0.62)
    assert expected_calibration_error(labels, probabilities) == pytest.approx(expected)
    found = reliability(labels, probabilities)
    assert found.counts.sum() == 3
    assert found.counts[11] == 2
    assert found.counts[9] == 1
    assert found.accuracy[11] == 0.5
    assert found.confidence[9] == pytest.approx(0.62)
    assert np.isnan(found.accuracy[0])


def test_bins_hold_their_upper_edge():
    found = reliability([0, 0, 0], [[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]], bins=4)
    np.testing.assert_array_equal(found.counts, [0, 1, 1, 1])
    np.testing.assert_array_equal(found.edges, [0, 0.25, 0.5, 0.75, 1])


def test_calibration_error_agrees_with_a_plain_loop():
    labels, [probabilities] = make_predictions(500, members=1)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    total = 0.0
    for number in range(15):
        inside = (sure > number / 15) & (sure <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert expected_calibration_error(labels, probabilities) == pytest.approx(total)


def test_brier_scores():
    assert brier_score([0], [[0.8, 0.2]]) == pytest.approx(0.08)
    assert brier_score([0, 1], [[1.0, 0.0], [1.0, 0.0]]) == pytest.approx(1)
    labels, [probabilities] = make_predictions(members=1, k=2)
    of_one = brier_score_loss(labels, probabilities[:, 1])
    assert brier_score(labels, probabilities) == pytest.approx(2 * of_one)
    labels, [probabilities] = make_predictions(members=1, k=5)
    expected = np.square(probabilities - np.eye(5)[labels]).sum(axis=1).mean()
    assert brier_score(labels, probabilities) == pytest.approx(expected)


@pytest.mark.parametrize("function", [fit_temperature, expected_calibration_error, brier_score])
def test_arguments_that_do_not_fit(function):
    with pytest.raises(ValueError, match=r"labels \(2,\)"):
        function([0, 1], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="sum to 1"):
        function([0], [[0.5, 0.4]])


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_no_temperature(temperature):
    with pytest.raises(ValueError, match="above 0"):
        apply_temperature([[0.5, 0.5]], temperature)
