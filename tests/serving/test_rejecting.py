"""Bundles with `--reject-below`: no label where the model is not sure enough, whatever runs it."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import toolkit
from tests.bundles import make_bundle, rows_of
from toolkit.cli.main import run
from toolkit.errors import OptionError
from toolkit.serving.engines import FLOAT32, TENSORFLOW

THRESHOLD = 0.6
"""Untrained networks are surer of some of these images, and of others not."""


@pytest.fixture(scope="module")
def unsure(images, tmp_path_factory):
    """A classifier that does not answer everything. Not to be changed."""
    folder = tmp_path_factory.mktemp("unsure") / "colours"
    return make_bundle(folder, images, seed=1, reject_below=THRESHOLD)


@pytest.fixture(scope="module")
def files(images):
    return sorted(images.rglob("*.jpg"))


def test_the_saved_model_gives_no_label_where_it_is_unsure(unsure, files):
    signatures = tf.saved_model.load(str(unsure)).signatures
    names = np.array([b"blue", b"green", b"red"])
    encoded = tf.constant([file.read_bytes() for file in files])
    decoded = tf.constant(np.stack([np.array(Image.open(file)) for file in files]))
    for given in (
        signatures["serving_default"](image_bytes=encoded),
        signatures["pixels"](pixels=decoded),
    ):
        probabilities, rejected = given["probabilities"].numpy(), given["rejected"].numpy()
        np.testing.assert_array_equal(rejected, probabilities.max(axis=1) < np.float32(THRESHOLD))
        assert 0 < rejected.sum() < len(files), "else the test would show nothing"
        expected = np.where(rejected, b"", names[probabilities.argmax(axis=1)])
        np.testing.assert_array_equal(given["label"].numpy(), expected)


@pytest.mark.parametrize("engine", [TENSORFLOW, FLOAT32])
def test_a_classifier_tells_and_keeps_the_best_class(unsure, files, engine):
    served = tf.saved_model.load(str(unsure)).signatures["serving_default"]
    given = served(image_bytes=tf.constant([file.read_bytes() for file in files]))
    classifier = toolkit.load(unsure, engine)
    assert classifier.reject_below == classifier.run["reject_below"] == THRESHOLD
    predictions = classifier.predict(files)
    assert [each.rejected for each in predictions] == list(given["rejected"].numpy())
    best = given["probabilities"].numpy().argmax(axis=1)
    assert [each.label for each in predictions] == [classifier.classes[k] for k in best]


def test_a_bundle_of_before_rejects_nothing(unsure, files, tmp_path):
    old = shutil.copytree(unsure, tmp_path / "1")
    file = old / "assets.extra" / "run.json"
    record = json.loads(file.read_text())
    del record["reject_below"]
    file.write_text(json.dumps(record))
    assert not any(each.rejected for each in toolkit.load(old).predict(files[:5]))


def test_the_answered_are_measured(unsure, images, files, tmp_path, capsys):
    arguments = ["evaluate", unsure, "--data", images, "--include-seen", "--output", tmp_path]
    assert run([*map(str, arguments), "--quiet"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    selective = json.loads((tmp_path / "metrics.json").read_text())["selective"]
    predictions = toolkit.load(unsure).predict(files)
    answered = [each for each in predictions if not each.rejected]
    right = [each.label == file.parent.name for each, file in zip(predictions, files, strict=True)]
    right = [ok for ok, each in zip(right, predictions, strict=True) if not each.rejected]
    assert selective["answered"] == len(answered)
    assert selective["coverage"] == len(answered) / len(files)
    assert selective["accuracy"] == sum(right) / len(answered)
    part = f"{selective['coverage']:.2%} of the images are answered (probability at least 0.6)"
    assert f"{part}, and of these {selective['accuracy']:.2%} rightly (95 % interval " in shown


def test_predict_shows_what_it_is_unsure_of(unsure, files, capsys):
    predictions = toolkit.load(unsure, TENSORFLOW).predict(files)
    rejected = [each.rejected for each in predictions]
    arguments = ["predict", str(unsure), *map(str, files), "--engine", TENSORFLOW]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.count("unsure: ") == sum(rejected)
    assert run([*arguments, "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["rejected"] for line in lines] == rejected
    assert [line["predictions"][0]["class"] for line in lines] == [p.label for p in predictions]
    assert run([*arguments, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["rejected"] for row in rows] == [str(each).lower() for each in rejected]


def test_an_ensemble_has_a_threshold_of_its_own(members, images, tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.serving.save.check_parity", lambda *_: 0.0)
    monkeypatch.setattr("toolkit.serving.save._draw", lambda *_: None)
    options = {"models_dir": tmp_path, "quiet": True}
    with pytest.raises(OptionError, match="--reject-below must be a number from 0 up to"):
        toolkit.ensemble(members, "two", reject_below=1.5, **options)
    result = toolkit.ensemble(members[::2], "two", reject_below=THRESHOLD, **options)
    assert result.run["reject_below"] == result.classifier.reject_below == THRESHOLD
    tested = [images / row["path"] for row in rows_of(result.path, "test")]
    rejected = [each.rejected for each in result.classifier.predict(tested)]
    selective = result.metrics["test"]["selective"]
    assert 0 < selective["answered"] == rejected.count(False) < len(tested)
