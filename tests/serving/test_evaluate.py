import csv
import json
import shutil

import pytest
from PIL import Image

import toolkit
from tests.conftest import COLOURS, write_images
from toolkit.errors import (
    AllSeenError,
    BundleError,
    NoImagesError,
    NotWritableError,
    UnknownClassesError,
)


def agree(measured, expected):
    for name in ("n", "accuracy", "accuracy_ci95", "macro_f1", "per_class"):
        assert measured[name] == expected[name]
    assert measured["loss"] == pytest.approx(expected["loss"], abs=1e-4)


def test_on_its_own_data_a_model_gets_the_numbers_of_its_test_split(finished, images, tmp_path):
    measured = toolkit.evaluate(finished.path.parent, images, output=tmp_path / "out", quiet=True)
    agree(measured.metrics, finished.metrics["test"])
    assert measured.seen == 60 - finished.metrics["test"]["n"]
    assert measured.problems == []
    agree(json.loads((tmp_path / "out" / "metrics.json").read_text()), measured.metrics)
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(finished.bundle.extra / "predictions.csv", newline="") as file:
        expected = list(csv.DictReader(file))
    names = ("path", "label", "predicted")
    assert [[row[name] for name in names] for row in rows] == [
        [row[name] for name in names] for row in expected
    ]
    for name in ("confusion_matrix.png", "mistakes.png"):
        Image.open(tmp_path / "out" / name).verify()


def test_seen_images_are_known_by_their_content(finished, images, tmp_path):
    shutil.copytree(images, tmp_path / "data")
    for number, path in enumerate(sorted((tmp_path / "data").rglob("*.jpg"))):
        path.rename(path.parent / f"{number}.jpeg")
    measured = toolkit.evaluate(finished.path, tmp_path / "data", quiet=True)
    agree(measured.metrics, finished.metrics["test"])


def test_all_images_are_measured_where_that_is_asked(finished, images):
    measured = finished.classifier.evaluate(images, include_seen=True, quiet=True)
    assert measured.metrics["n"] == 60
    assert measured.seen == 0


def test_a_model_is_not_measured_on_what_it_has_seen_alone(finished, images, tmp_path):
    with open(finished.bundle.extra / "splits.csv", newline="") as file:
        seen = [row["path"] for row in csv.DictReader(file) if row["split"] != "test"]
    for path in seen:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(images / path, tmp_path / path)
    with pytest.raises(AllSeenError, match="--include-seen"):
        toolkit.evaluate(finished.path, tmp_path, quiet=True)
    measured = toolkit.evaluate(finished.path, tmp_path, include_seen=True, quiet=True)
    assert measured.metrics["n"] == len(seen)


def test_classes_are_matched_by_name(finished, tmp_path):
    write_images(tmp_path, 5, {"red": COLOURS["red"], "green": COLOURS["green"]}, first_seed=9000)
    measured = toolkit.evaluate(finished.path, tmp_path, quiet=True).metrics
    assert measured["n"] == 10
    support = {name: row["support"] for name, row in measured["per_class"].items()}
    assert support == {"blue": 0, "green": 5, "red": 5}
    assert measured["accuracy"] > 0.8, "by position, green would be blue and red be green"


def test_one_class_alone_can_be_measured(finished, tmp_path):
    write_images(tmp_path, 3, {"red": COLOURS["red"]}, first_seed=9000)
    assert toolkit.evaluate(finished.path, tmp_path, quiet=True).metrics["n"] == 3


def test_a_class_that_the_model_does_not_know_is_named(finished, tmp_path):
    write_images(tmp_path, 2, {"red": (200, 40, 40), "purple": (200, 40, 200)})
    with pytest.raises(UnknownClassesError, match="'purple'") as caught:
        toolkit.evaluate(finished.path, tmp_path, quiet=True)
    assert "It knows: 'blue', 'green', 'red'" in str(caught.value)


def test_bad_files_are_counted_and_left_out(finished, tmp_path, capsys):
    write_images(tmp_path, 4, first_seed=9000)
    (tmp_path / "red" / "text.jpg").write_text("text")
    cut = (tmp_path / "red" / "red-9000.jpg").read_bytes()[:900]
    (tmp_path / "red" / "cut.jpg").write_bytes(cut)
    measured = toolkit.evaluate(finished.path, tmp_path)
    assert measured.metrics["n"] == 12
    assert sorted(problem.path for problem in measured.problems) == ["red/cut.jpg", "red/text.jpg"]
    printed = capsys.readouterr()
    assert "Left out: red/cut.jpg: damaged" in printed.err
    assert printed.out == ""


def test_data_without_a_readable_image_is_refused(finished, tmp_path):
    (tmp_path / "red").mkdir()
    with pytest.raises(NoImagesError):
        toolkit.evaluate(finished.path, tmp_path, quiet=True)
    (tmp_path / "red" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(NoImagesError):
        toolkit.evaluate(finished.path, tmp_path, quiet=True)


def test_a_model_that_does_not_tell_what_it_has_seen_is_refused(finished, images, tmp_path):
    copy = shutil.copytree(finished.path, tmp_path / "1")
    (copy / "assets.extra" / "splits.csv").unlink()
    with pytest.raises(BundleError, match=r"splits\.csv"):
        toolkit.evaluate(copy, images, quiet=True)
    (copy / "assets.extra" / "splits.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BundleError, match=r"splits\.csv"):
        toolkit.evaluate(copy, images, quiet=True)


def test_an_output_that_is_no_folder_is_named(finished, images, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError, match="--output must be a folder"):
        toolkit.evaluate(finished.path, images, output=tmp_path / "file" / "out", quiet=True)
