"""`toolkit augment`: a picture of what a policy draws."""

import os

import albumentations
import numpy as np
import pytest
from PIL import Image

import toolkit
from tests.conftest import quietly, write_images
from toolkit.cli import main
from toolkit.data.batches import view_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.views import Views
from toolkit.errors import NoClassesError, NoImagesError, NotWritableError, OptionError
from toolkit.evaluation import pictures


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("augmenting") / "photos", 3)
    damaged = folder / "green" / "green-000.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    return folder


def test_what_is_drawn_is_what_training_sees(photos, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "augmentations", lambda *parts: shown.append(parts))
    monkeypatch.setattr(os, "replace", lambda *names: None)
    toolkit.augment(
        photos, tmp_path / "a.png", policy="strong", images=9, draws=3, image_size=24, seed=5
    )

    ((originals, draws, _),) = shown
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
    arguments = ["augment", str(photos), "--image-size", "32", "--quiet"]
    monkeypatch.setattr("toolkit.cli.libraries.import_tensorflow_alone", lambda: None)

    assert main.run([*arguments, "--images", "4", "--draws", "2"]) == 0

    assert capsys.readouterr().out == "Written: augmentations.png\n"
    with Image.open(tmp_path / "augmentations.png") as image:
        assert image.format == "PNG" and min(image.size) > 200
    assert os.listdir(tmp_path) == ["augmentations.png"]


def test_own_pipelines_are_drawn(photos, tmp_path):
    own = albumentations.Compose([albumentations.InvertImg(p=1.0)])
    path = toolkit.augment(photos, tmp_path / "own.png", policy=own, image_size=16, quiet=True)
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
        toolkit.augment(photos, tmp_path / "file" / "x.png", image_size=16, quiet=True)
    assert sorted(os.listdir(tmp_path)) == ["empty", "file"]
