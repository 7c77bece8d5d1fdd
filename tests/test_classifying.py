"""`toolkit classify`, from photos to a bundle that gives scikit-learn's decisions."""

import json

import numpy as np
import pytest

import toolkit
from tests.conftest import write_images
from toolkit.cli import main

SMALL = {"weights": "random", "image_size": 32, "engine": "keras", "quiet": True}
NETWORK = "efficientnet-lite0"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("classify") / "photos", 12)


def test_a_linear_one_is_served_as_any_other(photos, tmp_path):
    result = toolkit.classify(
        photos, NETWORK, classifier="linear-svm", layer="block2", models_dir=tmp_path, **SMALL
    )

    assert result.path == tmp_path / "photos" / "1" and result.why_not_saved == ""
    metrics, run = result.metrics, result.run
    assert metrics == result.classifier.metrics
    assert metrics["chosen"] == "probe" and metrics["probe"] == metrics["validation"]
    setting = run["classifier"]["setting"]
    assert metrics["why"] == f"linear-svm with C = {setting['C']:g}, on the features of block2"
    assert [tried["C"] for tried in run["classifier"]["tried"]] == [1e-5, 1e-4, 1e-3, 1e-2]
    assert result.classifier.run["export_difference"] <= 1e-4
    assert result.classifier.model.get_layer("logits").get_weights()[0].shape[0] == 24
    assert result.classifier.model.count_params() < 100_000, "what is above block2 is left out"
    files = sorted(photos.rglob("*.jpg"))[:4]
    probabilities = [each.probabilities for each in result.classifier.predict(files)]
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, atol=1e-5)


def test_one_that_cannot_be_served_is_measured(photos, tmp_path, capsys):
    options = ["--backbone", NETWORK, "--weights", "random", "--image-size", "32", "--quiet"]
    options += [
        "--engine",
        "keras",
        "--data",
        str(photos),
        "--models-dir",
        str(tmp_path),
        "--layer",
        "block2",
    ]
    assert main.run(["classify", "--classifier", "knn", "--json", *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["path"] is None and record["test"]["n"] > 0
    assert record["why_not_saved"].startswith("knn needs all training features at hand")
    assert list(tmp_path.iterdir()) == []
    again = toolkit.classify(**record["run"]["options"], models_dir=tmp_path, quiet=True)
    assert again.metrics["test"] == record["test"] and again.path is again.classifier is None
    assert again.run["features_computed"] == 0

    assert main.run(["classify", "--classifier", "rbf-svm", *options]) == 0
    shown = capsys.readouterr().out
    assert "Not saved: an rbf-svm is a sum over training images" in shown
    assert "measured once" in shown


def test_names_that_are_not_there_are_refused_with_the_nearest(photos, tmp_path, capsys):
    base = ["classify", "--data", str(photos), "--models-dir", str(tmp_path / "m")]
    base += ["--weights", "random", "--image-size", "32", "--quiet"]
    for option, near in (
        (["--layer", "blok2"], "There is no layer 'blok2'. Did you mean: block2"),
        (["--classifier", "logistics"], "Did you mean: logistic"),
        (["--pooling", "maximum"], "Did you mean: max"),
    ):
        assert main.run([*base, *option]) == 2
        assert near in capsys.readouterr().err
    assert list((tmp_path / "m").iterdir()) == []
