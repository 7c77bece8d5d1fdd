import csv
import json
import shutil

import numpy as np
import pytest

import toolkit
from tests.conftest import draw_image
from toolkit.data.table import Problem
from toolkit.errors import BundleError, NoSuchFileError, ToolkitError, UnreadableImageError


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run's bundle, to be damaged."""
    return shutil.copytree(finished.path, tmp_path / "models" / "colours" / "1")


def test_it_predicts_what_was_measured(finished, images):
    with open(finished.bundle.extra / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    classifier = toolkit.load(finished.path.parent)
    predictions = classifier.predict([images / row["path"] for row in rows])
    assert [prediction.label for prediction in predictions] == [row["predicted"] for row in rows]
    assert [prediction.path for prediction in predictions] == [
        str(images / row["path"]) for row in rows
    ]
    expected = [[float(row[name]) for name in classifier.classes] for row in rows]
    given = [prediction.probabilities for prediction in predictions]
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_a_prediction_ranks_the_classes(finished, images):
    [prediction] = finished.classifier.predict([images / "red" / "red-000.jpg"])
    ranked = prediction.top(9)
    assert len(ranked) == 3
    assert ranked[0] == (prediction.label, prediction.probability)
    assert [value for _, value in ranked] == sorted(prediction.probabilities, reverse=True)
    assert prediction.top(1) == ranked[:1]


def test_the_newest_version_or_a_given_one_is_loaded(copy):
    newest = shutil.copytree(copy, copy.parent / "10")
    assert toolkit.load(copy.parent).bundle.path == newest
    assert toolkit.load(str(copy)).bundle.path == copy


def test_bad_files_are_named_and_the_others_predicted(finished, images, tmp_path):
    good = images / "red" / "red-000.jpg"
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:900])
    bad = ["empty.jpg", "text.jpg", "cut.jpg", "none.jpg"]
    paths = [good, *(tmp_path / name for name in bad), good]
    results = list(finished.classifier.predict_each(paths))
    problems = results[1:-1]
    assert all(isinstance(problem, Problem) for problem in problems)
    assert [problem.path for problem in problems] == [str(tmp_path / name) for name in bad]
    reasons = ["empty file", "not a JPEG", "damaged", "No such file or directory"]
    for problem, reason in zip(problems, reasons, strict=True):
        assert problem.reason.startswith(reason)
    np.testing.assert_allclose(results[0].probabilities, results[-1].probabilities, atol=1e-6)
    with pytest.raises(UnreadableImageError, match=r"empty\.jpg: empty file"):
        finished.classifier.predict(paths)


def test_many_files_come_in_their_order(finished, tmp_path):
    paths = [tmp_path / f"{k:03}.png" for k in range(70)]
    for k, path in enumerate(paths):
        draw_image([(200, 40, 40), (40, 200, 40)][k % 2], k).save(path)
    predictions = toolkit.predict(finished.path, [str(tmp_path)])
    assert [prediction.path for prediction in predictions] == list(map(str, paths))
    labels = [prediction.label for prediction in predictions]
    assert np.mean([label == ["red", "green"][k % 2] for k, label in enumerate(labels)]) > 0.75
    with pytest.raises(NoSuchFileError, match="Nothing is found at"):
        toolkit.predict(finished.path, [str(tmp_path / "none")])


def assert_names(error, name):
    message = str(error.value)
    assert name in message
    assert "\n" not in message
    assert isinstance(error.value, ToolkitError)


@pytest.mark.parametrize("kept", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_saved_model_is_named(copy, images, kept):
    file = copy / "saved_model.pb"
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(BundleError) as caught:
        toolkit.load(copy).predict([images / "red" / "red-000.jpg"])
    assert_names(caught, "saved_model.pb")


@pytest.mark.parametrize("kept", [0, 0.5, 0.999])
def test_truncated_variables_are_named(copy, images, kept):
    [file] = copy.glob("variables/variables.data-*")
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(BundleError) as caught:
        toolkit.load(copy).predict([images / "red" / "red-000.jpg"])
    assert_names(caught, "variables")


@pytest.mark.parametrize("missing", ["variables", "variables/variables.index"])
def test_missing_variables_are_named(copy, images, missing):
    path = copy / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(BundleError) as caught:
        toolkit.load(copy).predict([images / "red" / "red-000.jpg"])
    assert_names(caught, "variables")


def test_changed_variables_are_refused(copy, images):
    [file] = copy.glob("variables/variables.data-*")
    data = bytearray(file.read_bytes())
    for at in range(0, len(data), 64):
        data[at] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(BundleError) as caught:
        toolkit.load(copy).predict([images / "red" / "red-000.jpg"])
    assert_names(caught, "variables")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"classes": 3}', '{"classes": ["a"], "preparation": {}}']
)
def test_a_record_without_what_is_needed_is_named(copy, content):
    (copy / "assets.extra" / "run.json").write_text(content)
    with pytest.raises(BundleError) as caught:
        toolkit.load(copy)
    assert_names(caught, "run.json")


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_damaged_keras_file_is_named(copy, content):
    (copy / "assets.extra" / "model.keras").write_bytes(content)
    classifier = toolkit.load(copy)
    with pytest.raises(BundleError) as caught:
        _ = classifier.model
    assert_names(caught, "model.keras")


def test_a_record_of_other_classes_is_refused(copy, images):
    file = copy / "assets.extra" / "run.json"
    run = json.loads(file.read_text())
    file.write_text(json.dumps({**run, "classes": ["a", "b"]}))
    with pytest.raises(BundleError) as caught:
        toolkit.load(copy).predict([images / "red" / "red-000.jpg"])
    assert_names(caught, "run.json")
