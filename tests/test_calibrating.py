"""`--calibrate` of one classifier: the temperature ends up in its head."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import toolkit
from tests.networks import make_network, pixels, with_head
from toolkit.calibrating import Calibration, calibrate_choice
from toolkit.choosing import Choice
from toolkit.cli.main import run
from toolkit.data.table import ImageTable
from toolkit.ensembles.calibration import (
    TINY,
    apply_temperature,
    brier_score,
    expected_calibration_error,
    fit_temperature,
)
from toolkit.evaluation.validation import measure_validation
from toolkit.progress import Reporter

CLASSES = ["blue", "green", "red"]
FAST = {
    "weights": "random",
    "image_size": 32,
    "engine": "keras",
    "split": (0.2, 0.5, 0.3),
    "quiet": True,
}


def table_of(labels, split):
    columns = [np.array([f"{row}.jpg" for row in range(len(labels))], object)] * 2
    return ImageTable(
        Path(), CLASSES, columns[0], labels, columns[1], np.full(len(labels), split, object)
    )


@pytest.fixture
def unchecked(monkeypatch):
    """Exports are not checked in a process of their own."""
    monkeypatch.setattr("toolkit.serving.save.check_parity", lambda *_: 0.0)
    monkeypatch.setattr("toolkit.serving.save._draw", lambda *_: None)


def test_what_is_kept_gives_the_scaled_probabilities_itself():
    model, images = with_head(make_network()), pixels(40)
    labels = np.random.default_rng(0).integers(0, 3, 40)
    before = model.predict(images, verbose=0)
    prepared = SimpleNamespace(table=table_of(labels, "validation"))
    choice = Choice("finetuned", "", measure_validation(labels, before, CLASSES), model, before)
    found = calibrate_choice(prepared, choice, Reporter(quiet=True))
    assert found.temperature == fit_temperature(labels, before, floor=TINY, spread=0.3)
    assert found.temperature > 1, "the labels are chance: it is too sure"
    after = model.predict(images, verbose=0)
    np.testing.assert_allclose(after, found.validation, atol=1e-6)
    assert found.metrics == measure_validation(labels, found.validation, CLASSES)
    assert found.metrics["loss"] < choice.metrics["loss"]
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))


def test_the_record_compares_before_with_after(tmp_path):
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 50)
    before = random.dirichlet([0.3] * 3, 50)
    after = apply_temperature(before, 2.5, floor=TINY)
    found = Calibration(table_of(labels, "test"), 2.5, after[:0], after)
    compared = found._compare("test", after)
    for name, probabilities in {"before": before, "after": after}.items():
        record = compared[name]
        assert record["brier_score"] == pytest.approx(brier_score(labels, probabilities))
        error = expected_calibration_error(labels, probabilities)
        assert record["expected_calibration_error"] == pytest.approx(error)
    (tmp_path / "assets.extra").mkdir()
    assert found.draw({"a": 1}, tmp_path) == {"a": 1}
    assert (tmp_path / "assets.extra" / "reliability.png").stat().st_size > 1000
    nothing = Calibration(found.table, 1.0, None, after)
    assert nothing.record() == {}
    assert nothing.draw({}, tmp_path / "none") == {}, "nor is anything drawn"


@pytest.mark.usefixtures("tiny")
def test_a_probe_is_exported_with_its_temperature(images, tmp_path, unchecked):
    options = {"backbone": "tiny", "epochs": 0, "models_dir": tmp_path, **FAST}
    result = toolkit.finetune(images, calibrate=True, **options)
    metrics = result.metrics
    record = metrics["calibration"]
    on_validation = record["validation"]
    assert on_validation["before"]["loss"] == pytest.approx(metrics["probe"]["loss"], abs=1e-5)
    assert on_validation["after"]["loss"] == metrics["validation"]["loss"]
    assert on_validation["after"]["loss"] < on_validation["before"]["loss"]
    assert metrics["validation"]["accuracy"] == metrics["probe"]["accuracy"]
    assert record["after"]["loss"] == metrics["test"]["loss"] != record["before"]["loss"]
    served = result.classifier.evaluate(images, quiet=True).metrics
    assert served["loss"] == pytest.approx(metrics["test"]["loss"], abs=1e-5)
    assert (result.bundle.extra / "reliability.png").is_file()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("classifier", ["ridge", "knn"])
def test_classifiers_of_scikit_learn_are_scaled_too(images, tmp_path, unchecked, classifier):
    options = {"backbone": "tiny", "layer": "middle", "models_dir": tmp_path, **FAST}
    result = toolkit.classify(images, classifier=classifier, calibrate=True, **options)
    record, metrics = result.metrics["calibration"], result.metrics
    assert record["after"]["loss"] == pytest.approx(metrics["test"]["loss"], abs=1e-6)
    assert record["validation"]["after"]["loss"] == pytest.approx(metrics["validation"]["loss"])
    # It was fitted already: there is hardly anything to gain.
    assert record["temperature"] == pytest.approx(1, abs=0.1)
    if result.path:
        again = result.classifier.evaluate(images, quiet=True).metrics
        assert again["loss"] == pytest.approx(metrics["test"]["loss"], abs=1e-5)


@pytest.mark.parametrize("verb", ["finetune", "classify"])
def test_too_few_validation_images_are_refused_before_the_training(images, tmp_path, verb, capsys):
    arguments = [verb, "--data", images, "--models-dir", tmp_path, "--weights", "random"]
    arguments += ["--image-size", 32, "--engine", "keras", "--split", "0.7,0.1,0.2", "--calibrate"]
    assert run([*map(str, arguments), "--quiet"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: --calibrate needs 20 validation images. There are ")
    assert line.endswith("or leave --calibrate out.")
