import contextlib
import csv
import io
import json
import os
import shutil

import pytest
from PIL import Image

from tests.conftest import draw_image, run_toolkit

ODD = ["[red] :smile:.jpg", "two words.jpg", "quotes'\".jpg", "größe-写真.jpg", "new\nline.jpg"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with five odd names, and one whose name is no valid text where that can be."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(ODD):
        draw_image((200, 40, 40), 50 + number).save(folder / name)
    with contextlib.suppress(OSError):
        draw_image((200, 40, 40), 60).save(os.fsencode(folder) + b"/caf\xe9.jpg", "JPEG")
    return folder


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("text")
    return tmp_path


def test_files_folders_and_patterns_as_csv(finished, images, photos, broken):
    model = finished.path.parent
    paths = [images / "blue" / "blue-000.jpg", photos, images / "g*" / "*00[0-2].jpg", broken]
    done = run_toolkit("predict", model, *paths, "--format", "csv", "--top", 2)
    assert done.returncode == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    columns = ["path", "class_1", "probability_1", "class_2", "probability_2"]
    assert list(rows[0]) == [*columns, "rejected"]
    files = [str(paths[0]), *sorted(str(path) for path in photos.iterdir())]
    files += [str(images / "green" / f"green-00{k}.jpg") for k in range(3)]
    shown = [os.fsencode(file).decode("utf-8", "replace") for file in files]
    assert [row["path"] for row in rows] == shown
    expected = [prediction.top(2) for prediction in finished.classifier.predict(files)]
    for row, [first, second] in zip(rows, expected, strict=True):
        assert (row["class_1"], row["class_2"]) == (first[0], second[0])
        assert float(row["probability_1"]) == pytest.approx(first[1], abs=1e-5)
        assert float(row["probability_2"]) == pytest.approx(second[1], abs=1e-5)
    assert done.stderr.splitlines() == [
        f"Left out: {broken / 'empty.jpg'}: empty file",
        f"Left out: {broken / 'text.jpg'}: not a JPEG, PNG, BMP, GIF or WebP image",
    ]


def test_a_table_on_a_terminal_that_shows_little(finished, photos):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "COLUMNS": "300"}
    done = run_toolkit("predict", finished.path, photos, "--top", 9, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for name in ("[red] :smile:.jpg", "two words.jpg", "quotes'\".jpg", "gr\\xf6\\xdfe-"):
        assert name in done.stdout
    assert done.stdout.count("%") == 3 * len(list(photos.iterdir())), "each class once"


def test_json_has_a_line_for_each_image(finished, photos):
    done = run_toolkit("predict", finished.path, photos, "--format", "json", "--top", 3)
    assert done.returncode == 0
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(list(photos.iterdir()))
    assert {os.path.basename(result["path"]) for result in results} >= set(ODD)
    for result in results:
        assert set(result) == {"path", "predictions", "rejected"}
        assert result["rejected"] is False
        assert {each["class"] for each in result["predictions"]} == {"red", "green", "blue"}
        total = sum(each["probability"] for each in result["predictions"])
        assert total == pytest.approx(1, abs=1e-5)


def test_images_that_are_all_bad_are_an_error(finished, broken):
    Image.new("1", (20_000, 20_000)).save(broken / "huge.png")
    done = run_toolkit("predict", finished.path, broken)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines[:3]] == sorted(map(str, broken.iterdir()))
    assert lines[3:] == [lines[-1]]
    assert lines[-1].startswith(f"Error: No readable image among what was given: {broken}")


@pytest.mark.parametrize(
    ("model", "paths", "message"),
    [
        ("none", ["x.jpg"], "none is no usable model: there is no such folder"),
        (".", ["x.jpg"], "is no usable model: saved_model.pb is missing"),
        (None, ["x.jpg"], "Nothing is found at"),
        (None, ["*.none"], "Nothing is found at"),
    ],
)
def test_what_is_not_there_is_named_before_anything_is_loaded(
    finished, tmp_path, model, paths, message
):
    model = finished.path if model is None else tmp_path / model
    done = run_toolkit("predict", model, *(tmp_path / path for path in paths))
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ") and message in line


@pytest.mark.parametrize("name", ["saved_model.pb", "assets.extra/run.json"])
def test_a_damaged_model_is_told_in_a_line(finished, images, tmp_path, name):
    copy = shutil.copytree(finished.path, tmp_path / "1")
    file = copy / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = run_toolkit("predict", copy, images / "red")
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Error: {copy} is no usable model: {file}")
