import json

import numpy as np
import pytest

from tests.ensembles.predictions import make_predictions
from toolkit.ensembles.average import average_probabilities
from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.calibration import (
    apply_temperature,
    brier_score,
    expected_calibration_error,
)
from toolkit.ensembles.evidence import Gain
from toolkit.ensembles.report import recommend, report
from toolkit.ensembles.weights import convex_weights
from toolkit.evaluation.metrics import measure

CLASSES, NAMES = ["cat", "dog", "eel"], ["a/1", "b/1", "c/1"]
EQUALLY = Averaging("arithmetic", np.full(3, 1 / 3))


def test_it_holds_all_that_was_measured_and_survives_json():
    labels, members = make_predictions(300)
    weights = np.array([0.5, 0.5, 0])
    found = report(labels, members, CLASSES, NAMES, Averaging("geometric", weights), seed=1)
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        **found,
        "gain": {key: list(v) if isinstance(v, tuple) else v for key, v in found["gain"].items()},
    }
    ensemble = average_probabilities(members, "geometric", weights)
    assert found["test"] == measure(labels, ensemble, CLASSES)
    assert [member["weight"] for member in found["members"]] == [0.5, 0.5, 0]
    losses = [member["test"]["loss"] for member in found["members"]]
    assert found["gain"]["over"] == NAMES[int(np.argmin(losses))]
    assert found["gain"]["loss"] == pytest.approx(min(losses) - found["test"]["loss"])
    assert found["members"][2]["without"]["loss_saved"] == 0


def test_members_that_help_each_other_are_recommended():
    labels, members = make_predictions(1000, shared=0)
    weights = convex_weights(labels, members)
    found = report(labels, members, CLASSES, NAMES, Averaging("arithmetic", weights))
    assert found["recommended"] == "ensemble"
    assert found["why"].startswith("the ensemble saves 0.")
    assert found["why"].endswith("it runs 2 networks")


def test_members_that_are_all_alike_are_not():
    labels, members = make_predictions(200)
    found = report(labels, [members[0]] * 3, CLASSES, NAMES, EQUALLY)
    assert found["recommended"] == "a/1"
    assert "a/1 alone is as good as the ensemble" in found["why"]


@pytest.mark.parametrize(
    ("loss", "accuracy", "recommended", "words"),
    [
        ((0.01, 0.05), (-0.01, 0.02), "ensemble", "saves 0.0300 of log-loss over a/1"),
        ((0.01, 0.05), (-0.03, -0.01), "a/1", "alone is better"),
        ((-0.05, -0.01), (0.0, 0.0), "a/1", "alone is better"),
        ((-0.01, 0.05), (0.0, 0.1), "a/1", "alone is as good as"),
        ((0.0, 0.0), (0.0, 0.0), "a/1", "alone is as good as"),
    ],
)
def test_what_is_recommended_follows_from_the_intervals(loss, accuracy, recommended, words):
    gain = Gain(float(np.mean(loss)), loss, float(np.mean(accuracy)), accuracy)
    found = recommend(gain, "a/1", 500, "ensemble", "it runs 3 networks")
    assert found["recommended"] == recommended
    assert words in found["why"]
    assert "500 test images" in found["why"]


def test_a_temperature_scales_the_ensemble_and_no_member():
    labels, members = make_predictions(300)
    scaled = Averaging("arithmetic", np.full(3, 1 / 3), temperature=2.0)
    found = report(labels, members, CLASSES, NAMES, scaled)
    plain = report(labels, members, CLASSES, NAMES, EQUALLY)
    assert found["test"]["loss"] != plain["test"]["loss"]
    assert found["test"]["accuracy"] == plain["test"]["accuracy"]
    assert found["members"] == plain["members"]
    calibration = found["calibration"]
    assert calibration["temperature"] == 2
    assert calibration["before"] == plain["calibration"]["before"] == plain["calibration"]["after"]
    ensemble = apply_temperature(average_probabilities(members), 2.0)
    assert calibration["after"] == {
        "loss": found["test"]["loss"],
        "expected_calibration_error": expected_calibration_error(labels, ensemble),
        "brier_score": brier_score(labels, ensemble),
    }


def test_views_are_what_is_averaged_and_members_are_measured_without():
    labels, members = make_predictions(300)
    _, viewed = make_predictions(300, seed=0, shared=0.2)
    found = report(labels, members, CLASSES, NAMES, EQUALLY, viewed=viewed)
    plain = report(labels, members, CLASSES, NAMES, EQUALLY)
    assert json.loads(json.dumps(found, allow_nan=False))
    assert found["test"] == measure(labels, average_probabilities(viewed), CLASSES)
    assert [each["test"] for each in found["members"]] == [
        each["test"] for each in plain["members"]
    ]
    of_views = [measure(labels, each, CLASSES)["loss"] for each in viewed]
    assert [each["with_views"]["loss"] for each in found["members"]] == of_views
    assert found["views"]["without"]["loss"] == plain["test"]["loss"]
    gain = plain["test"]["loss"] - found["test"]["loss"]
    assert found["views"]["gain"]["loss"] == pytest.approx(gain)
    assert found["why"].endswith("it runs 3 networks on several views of each image")


def test_one_member_is_enough_with_views():
    labels, members = make_predictions(300)
    averaging = Averaging("arithmetic", np.ones(1))
    found = report(labels, members[:1], CLASSES, NAMES[:1], averaging, viewed=members[1:2])
    assert found["members"][0]["without"] is None
    assert found["gain"]["over"] == "a/1"
    assert found["diversity"]["disagreement"] == [[0]]
