"""The loss after the best temperature, against SciPy's search for it."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from toolkit.evaluation.metrics import measure
from toolkit.evaluation.validation import measure_validation
from toolkit.training.calibrated_loss import TEMPERATURES, CalibratedLoss

CLASSES = 5


def logits_of(seed, right, sure, count=300):
    """Labels and logits: so many of the images right, and all as sure as asked for."""
    random = np.random.default_rng(seed)
    labels = random.integers(CLASSES, size=count)
    named = np.where(random.random(count) < right, labels, random.integers(CLASSES, size=count))
    logits = random.normal(size=(count, CLASSES)) + 2 * np.eye(CLASSES)[named]
    return labels, (sure * logits).astype(np.float32)


def loss(labels, logits):
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()


def calibrated_loss(labels, logits, batch=64):
    metric = CalibratedLoss()
    for start in range(0, len(labels), batch):
        metric.update_state(labels[start : start + batch], logits[start : start + batch])
    return float(metric.result())


@pytest.mark.parametrize("sure", [0.7, 1, 3, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_loss_after_the_best_temperature(seed, sure):
    labels, logits = logits_of(seed, 0.8, sure)
    best = minimize_scalar(lambda t: loss(labels, logits / t), bounds=(0.1, 30), method="bounded")
    found = calibrated_loss(labels, logits)
    assert best.fun <= found * (1 + 1e-6) and found == pytest.approx(best.fun, rel=4e-3)
    tried = min(loss(labels, logits / temperature) for temperature in TEMPERATURES)
    assert found == pytest.approx(tried, rel=1e-5)


def test_a_network_that_is_right_more_often_is_better_however_sure_it_is():
    early, late = logits_of(0, 0.7, 1), logits_of(0, 0.9, 8)
    assert loss(*late) > loss(*early)
    assert calibrated_loss(*late) < calibrated_loss(*early)


@pytest.mark.parametrize("batch", [1, 7, 300])
def test_batches_do_not_matter(batch):
    labels, logits = logits_of(2, 0.8, 2)
    assert calibrated_loss(labels, logits, batch) == pytest.approx(calibrated_loss(labels, logits))


def test_labels_may_be_shares_of_classes():
    labels, logits = logits_of(3, 0.8, 2)
    shares = np.eye(CLASSES, dtype=np.float32)[labels]
    assert calibrated_loss(shares, logits) == pytest.approx(calibrated_loss(labels, logits))


def test_a_loss_that_is_no_number_is_none_after_a_temperature_either():
    labels, logits = logits_of(4, 0.8, 1)
    logits[7] = np.nan
    assert np.isnan(calibrated_loss(labels, logits))


def test_validation_is_measured_as_all_else_and_so():
    labels, logits = logits_of(5, 0.8, 4)
    probabilities, classes = softmax(logits, axis=1), list("abcde")
    found = measure_validation(labels, probabilities, classes)
    assert found.pop("calibrated_loss") == pytest.approx(calibrated_loss(labels, logits), rel=1e-4)
    assert found == measure(labels, probabilities, classes)


def test_impossible_classes_leave_it_finite():
    probabilities = np.eye(CLASSES, dtype=np.float32)
    found = measure_validation(np.array([1, 1, 2, 3, 4]), probabilities, list("abcde"))
    assert np.isfinite(found["calibrated_loss"])
