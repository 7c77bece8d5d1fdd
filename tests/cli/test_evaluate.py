import json

import pytest

from tests.conftest import run_toolkit, write_images


def test_json_has_the_numbers_of_the_test_split(finished, images, tmp_path):
    output = tmp_path / "report"
    done = run_toolkit(
        "evaluate", finished.path.parent, "--data", images, "--json", "--output", output
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    measured, expected = json.loads(line), finished.metrics["test"]
    assert measured["accuracy"] == expected["accuracy"]
    assert measured["per_class"] == expected["per_class"]
    assert measured["loss"] == pytest.approx(expected["loss"], abs=1e-4)
    seen = 60 - expected["n"]
    assert f"Left out: {seen} images that the model was trained on or chosen by." in done.stderr
    assert json.loads((output / "metrics.json").read_text()) == measured


def test_a_table_and_a_folder_for_people(finished, tmp_path):
    data = write_images(tmp_path / "data", 3, first_seed=9000)
    done = run_toolkit("evaluate", finished.path, "--data", data, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "9 images" in done.stdout
    for name in ("red", "green", "blue"):
        assert name in done.stdout
    folder = tmp_path / "evaluation" / "colours-1"
    assert f"Numbers and pictures: {folder.relative_to(tmp_path)}" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion_matrix.png",
        "metrics.json",
        "mistakes.png",
        "predictions.csv",
    ]


def test_an_unknown_class_is_an_error_that_names_it(finished, tmp_path):
    data = write_images(tmp_path / "data", 2, {"[purple]": (200, 40, 200)})
    done = run_toolkit("evaluate", finished.path, "--data", data)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: The model does not know the class '[purple]'. It knows: 'blue'")
