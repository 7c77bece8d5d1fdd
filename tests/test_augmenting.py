"""`toolkit augment`: a picture of what a policy draws."""

import json
import os

import albumentations
import numpy as np
import pytest
from PIL import Image

import toolkit
from tests.conftest import quietly, write_images
from toolkit.augmenting import AugmentResult, warnings_of
from toolkit.cli import main
from toolkit.data.batches import view_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.views import Views
from toolkit.errors import NoClassesError, NoImagesError, NotWritableError, OptionError
from toolkit.evaluation import pictures
from toolkit.evaluation.class_changes import ClassChange


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("augmenting") / "photos", 3)
    damaged = folder / "green" / "green-000.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    unusual = folder / "green" / "green-001.jpg"
    Image.open(unusual).save(unusual, "GIF")  # It is read after the others.
    return folder


def test_what_is_drawn_is_what_training_sees(photos, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "augmentations", lambda *parts: shown.append(parts))
    monkeypatch.setattr(os, "replace", lambda *names: None)
    toolkit.augment(
        photos,
        tmp_path / "a.png",
        policy="strong",
        images=9,
        draws=3,
        image_size=24,
        check=False,
        seed=5,
    )

    ((originals, draws, _, turned),) = shown
    assert turned == []
    assert len(originals) == len(draws) == 8, "one of the nine is damaged"
    table = scan(list_source(photos), 10**8, quietly)
    expected = {
        (int(row), int(number)): image
        for rows, number, images in view_batches(
            table, Preparation(24, 24), 32, Views("strong", 5, 3), range(3)
        )
        for row, image in zip(rows, images, strict=True)
    }
    rows = sorted({row for row, _ in expected})
    for place, row in enumerate(rows):
        for number in range(3):
            np.testing.assert_array_equal(draws[place][number], expected[row, number])


def test_the_command_writes_a_picture_and_replaces_an_older_one(
    photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "augmentations.png").write_text("older")
    arguments = ["augment", str(photos), "--image-size", "32", "--quiet", "--no-check"]

    assert main.run([*arguments, "--images", "4", "--draws", "2"]) == 0

    assert capsys.readouterr().out == "Written: augmentations.png\n"
    with Image.open(tmp_path / "augmentations.png") as image:
        assert image.format == "PNG" and min(image.size) > 200
    assert os.listdir(tmp_path) == ["augmentations.png"]


def test_own_pipelines_are_drawn(photos, tmp_path):
    own = albumentations.Compose([albumentations.InvertImg(p=1.0)])
    path = tmp_path / "own.png"
    result = toolkit.augment(photos, path, policy=own, image_size=16, check=False, quiet=True)
    assert result == AugmentResult(path, 0, [], None, [], "it was not asked for")
    assert path.stat().st_size > 1000


def test_bad_input_is_refused_and_leaves_nothing_behind(photos, tmp_path):
    def fail(error, match, **options):
        with pytest.raises(error, match=match):
            toolkit.augment(options.pop("data", photos), tmp_path / "x.png", quiet=True, **options)

    fail(OptionError, "--policy must be one that draws", policy="none")
    fail(OptionError, "--augment must be one of auto", policy="heavy")
    fail(OptionError, "--images must be a whole number from 1", images=0)
    fail(OptionError, "--draws must be a whole number from 1", draws=-1)
    fail(OptionError, "--crop must be one of", crop="stretch")
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    fail(NoClassesError, "no class folders with images", data=tmp_path / "empty")
    whole = (photos / "red" / "red-000.jpg").read_bytes()
    (tmp_path / "empty" / "cat" / "a.jpg").write_bytes(whole[:-400])
    fail(NoImagesError, "No readable image", data=tmp_path / "empty", image_size=16)
    with pytest.raises(OptionError, match=r"--output must be a file whose name ends in \.png"):
        toolkit.augment(photos, tmp_path / "x.jpg", quiet=True)
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError, match="--output must be a folder that can be written"):
        where = tmp_path / "file" / "x.png"
        toolkit.augment(photos, where, image_size=16, check=False, quiet=True)
    assert sorted(os.listdir(tmp_path)) == ["empty", "file"]


def flipping(cost, name="HorizontalFlip", turned=0.312, often=True):
    return ClassChange(name, 240, turned, 0.0, [("2", "5", 0.75)], often, cost)


def test_a_warning_names_the_transform_the_classes_and_what_to_do():
    (line,) = warnings_of("standard", [flipping(0.2)], flipping(None))
    assert line == (
        "HorizontalFlip turns 31% of 240 draws into another class, most often '2' into '5' (75% of "
        "its draws). Learning from them costs 20.0% of a probe's certainty about the images "
        "themselves: take standard-no-flip"
    )
    (line,) = warnings_of("light", [flipping(0.011)], flipping(None))
    assert line == (
        "HorizontalFlip makes 31% of 240 draws look like another class, most often '2' like '5' "
        "(75% of its draws). Learning from them costs 1.1% of a probe's certainty about the images "
        "themselves: if no such images come in use, take light-no-flip"
    )
    (line,) = warnings_of("strong", [flipping(0.2, "Affine"), flipping(None, often=False)], None)
    assert line.startswith("Affine turns") and line.endswith(": take a milder policy")
    (line,) = warnings_of('{"transform": 1}', [flipping(0.2)], flipping(None))
    assert line.endswith(": leave it out")


def test_a_whole_policy_is_warned_of_only_where_no_part_of_it_is():
    quiet, whole = flipping(None, often=False), flipping(None, "strong")
    (line,) = warnings_of("strong", [quiet, quiet], whole)
    assert line.startswith("strong makes 31%") and line.endswith(": take a milder policy")
    assert len(warnings_of("strong", [quiet, flipping(0.1)], whole)) == 1
    assert warnings_of("strong", [quiet], flipping(None, "strong", often=False)) == []


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Photos that are dark on the left or on the right."""
    folder = tmp_path_factory.mktemp("augmenting") / "halves"
    random = np.random.default_rng(0)
    for name in ("left", "right"):
        (folder / name).mkdir(parents=True)
        for k in range(24):
            image = random.normal(190, 25, (32, 32, 3))
            image[:, :16] -= 120
            image = image if name == "left" else image[:, ::-1]
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{k}.png")
    return folder


def test_the_command_warns_of_the_transform_that_changes_classes(
    halves, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    arguments = ["augment", str(halves), "--image-size", "32", "--images", "2", "--quiet"]

    assert main.run([*arguments, "--policy", "light"]) == 0
    written, warning = capsys.readouterr().out.splitlines()
    assert written == "Written: augmentations.png"
    assert warning.startswith("HorizontalFlip turns ") and warning.endswith("take light-no-flip.")
    with Image.open("augmentations.png") as image:
        warned = image.height

    assert main.run([*arguments, "--policy", "light-no-flip"]) == 0
    written, checked = capsys.readouterr().out.splitlines()
    assert checked.startswith("Checked on ") and "0% of the draws" in checked
    with Image.open("augmentations.png") as image:
        assert image.height < warned, "the worst draws are shown where there are some"


def test_json_has_all_that_python_gives(photos, tmp_path, monkeypatch, capsys):
    change = flipping(0.2)
    result = AugmentResult(tmp_path / "a.png", 40, [change], change, ["it turns"], "")
    monkeypatch.setattr("toolkit.augmenting.augment", lambda data, **options: result)
    assert main.run(["augment", str(photos), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["path"] == str(tmp_path / "a.png") and record["tested"] == 40
    assert record["warnings"] == ["it turns"] and record["unchecked"] == ""
    assert record["transforms"] == [record["policy"]]
    assert record["policy"]["pairs"] == [["2", "5", 0.75]] and record["policy"]["cost"] == 0.2


def test_the_worst_draws_are_those_that_were_tested(halves, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "augmentations", lambda *parts: shown.append(parts))
    monkeypatch.setattr(os, "replace", lambda *names: None)
    result = toolkit.augment(halves, tmp_path / "a.png", policy="light", image_size=32, quiet=True)
    ((_, _, _, [(heading, pairs)]),) = shown
    assert heading.startswith("HorizontalFlip turns ")
    assert len(pairs) == len(result.transforms[-1].worst) == 2
    for pair in pairs:
        np.testing.assert_array_equal(pair.draw, pair.original[:, ::-1])
        dark = "left" if pair.original[:, :16].mean() < 120 else "right"
        assert {pair.label, pair.other} == {"left", "right"} and pair.label == dark


def test_data_that_cannot_be_checked_is_drawn_and_it_is_said(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.run(["augment", str(photos), "--image-size", "32", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Written: augmentations.png",
        "Not checked whether classes stay what they are: it needs two classes of at least 5 "
        "different images.",
    ]
