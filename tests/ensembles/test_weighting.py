from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from tests.ensembles.predictions import make_predictions
from toolkit.ensembles.average import AVERAGES, average_probabilities
from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.calibration import expected_calibration_error, fit_temperature
from toolkit.ensembles.weighting import (
    check_weighting,
    choose_average,
    find_temperature,
    find_weights,
)
from toolkit.ensembles.weights import convex_weights, greedy_weights
from toolkit.errors import OptionError, TooFewToFitError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("equal", "equal"),
        ("convex", "convex"),
        ("2, 1,1", [2, 1, 1]),
        ((0.5, 0.5, 0), [0.5, 0.5, 0]),
        (np.ones(3), [1, 1, 1]),
    ],
)
def test_weights_as_people_give_them(given, expected):
    assert check_weighting(given, count=3) == expected


@pytest.mark.parametrize(
    "given", ["0.5", [1, 1], "1,1,-1", [0, 0, 0], "1,x,1", "best", "nan,1,1", 0.5, None, "1,1,1,"]
)
def test_weights_that_do_not_fit_are_refused(given):
    with pytest.raises(OptionError, match=r"^--weights must be equal, convex, .* 3 numbers"):
        check_weighting(given, count=3)


def test_averages_that_do_not_fit_are_refused():
    with pytest.raises(OptionError, match="--average must be one of auto, arithmetic"):
        choose_average("median", calibrate=False)
    with pytest.raises(OptionError, match="equal, greedy or numbers with --average majority"):
        check_weighting("convex", "majority")


def test_calibrated_averages_are_geometric_unless_another_is_asked_for():
    assert choose_average("auto", calibrate=True) == "geometric"
    assert choose_average("auto", calibrate=False) == "arithmetic"
    for average in AVERAGES:
        assert choose_average(average, calibrate=True) == average


def test_a_temperature_mends_geometric_averages_of_networks_that_are_too_sure():
    """Members that differ in how their noise falls, each three times too sure."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 3000)
    signal = 2.0 * np.eye(4)[labels]
    members = softmax(3 * (signal + random.normal(0, 1, (3, 3000, 4))), axis=2)
    errors, losses = {}, {}
    for average in ("arithmetic", "geometric"):
        averaging = Averaging(average, np.full(3, 1 / 3))
        temperature = find_temperature(labels[:1000], members[:, :1000], average, averaging.weights)
        scaled = replace(averaging, temperature=temperature)(members[:, 1000:])
        errors[average] = expected_calibration_error(labels[1000:], scaled)
        losses[average] = log_loss(labels[1000:], scaled)
    assert errors["geometric"] < errors["arithmetic"]
    assert losses["geometric"] < losses["arithmetic"]


def test_weights_are_found_or_taken():
    labels, members = make_predictions(100)
    np.testing.assert_array_equal(find_weights("equal", "majority", labels, members), [1 / 3] * 3)
    found = find_weights([2.0, 1.0, 1.0], "arithmetic", labels, members)
    np.testing.assert_array_equal(found, [0.5, 0.25, 0.25])
    for name, find in [("convex", convex_weights), ("greedy", greedy_weights)]:
        found = find_weights(name, "geometric", labels, members)
        np.testing.assert_array_equal(found, find(labels, members, "geometric"))


def test_the_temperature_is_that_of_the_average():
    labels, members = make_predictions(100)
    weights = np.array([0.5, 0.5, 0])
    averaged = average_probabilities(members, "geometric", weights)
    found = find_temperature(labels, members, "geometric", weights)
    assert found == fit_temperature(labels, averaged, spread=0.3)
    match = r"--calibrate needs 20 images.*There are 19; .* or leave --calibrate out\."
    with pytest.raises(TooFewToFitError, match=match):
        find_temperature(labels[:19], members[:, :19], "geometric", weights)


def test_too_few_images_choose_no_weights():
    labels, members = make_predictions(29)
    with pytest.raises(TooFewToFitError, match=r"needs 30 images.*There are 29; make") as caught:
        find_weights("greedy", "arithmetic", labels, members)
    assert "\n" not in str(caught.value)
    none = np.zeros([3, 0, 3])
    np.testing.assert_array_equal(
        find_weights("equal", "arithmetic", labels[:0], none), [1 / 3] * 3
    )
