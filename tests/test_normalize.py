"""`--normalize` and `--crop`: the same preparation in training and in service."""

import csv

import numpy as np
import pytest
import tensorflow as tf

import toolkit
from tests.conftest import write_images
from tests.tiny import TINY
from toolkit import preparing
from toolkit.cli import main
from toolkit.data.prepare import Preparation
from toolkit.data.read import make_reader
from toolkit.data.statistics import measure_pixels
from toolkit.errors import OptionError

pytestmark = pytest.mark.usefixtures("tiny")

SMALL = {name: TINY[name] for name in ("backbone", "weights", "image_size", "engine", "quiet")}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos that are no squares, one of them damaged."""
    folder = write_images(tmp_path_factory.mktemp("normalize") / "photos", 16)
    damaged = folder / "red" / "red-003.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-400])
    return folder


@pytest.mark.parametrize(
    ("name", "crop"), [("backbone", "squash"), ("mean-image", "pad"), ("zca", "center")]
)
def test_the_exported_model_gives_bytes_what_the_trained_one_gives_pixels(
    photos, tmp_path, name, crop
):
    result = toolkit.finetune(
        photos, normalize=name, crop=crop, epochs=1, models_dir=tmp_path, **SMALL
    )

    assert result.run["preparation"]["crop"] == result.run["options"]["crop"] == crop
    assert result.run["options"]["normalize"] == name
    assert (result.run["normalization"] is None) == (name == "backbone")
    files = sorted(photos.rglob("green*.jpg"))
    served = tf.saved_model.load(str(result.path)).signatures["serving_default"]
    answer = served(image_bytes=tf.constant([file.read_bytes() for file in files]))
    reader = make_reader(Preparation(32, 32, crop=crop))
    pixels = np.stack([reader(tf.io.read_file(str(file))).numpy() for file in files])
    trained = result.classifier.model.predict(pixels, verbose=0)
    np.testing.assert_allclose(answer["probabilities"].numpy(), trained, atol=1e-4)


def test_nothing_is_measured_of_validation_and_test(photos, tmp_path, monkeypatch):
    measured = []

    def measure(table, *arguments):
        measured.append(table)
        return measure_pixels(table, *arguments)

    monkeypatch.setattr(preparing, "measure_pixels", measure)
    result = toolkit.finetune(photos, normalize="zca", epochs=0, models_dir=tmp_path, **SMALL)

    (table,) = measured
    with open(result.path / "assets.extra" / "splits.csv", newline="", encoding="utf-8") as file:
        splits = {row["digest"]: row["split"] for row in csv.DictReader(file)}
    assert {splits.get(digest, "damaged") for digest in table.digests} <= {"train", "damaged"}
    train = [digest for digest, split in splits.items() if split == "train"]
    assert set(train) <= set(table.digests)
    assert result.run["normalization"]["images"] == len(train)
    plain = toolkit.finetune(photos, epochs=0, models_dir=tmp_path / "plain", **SMALL)
    with open(plain.path / "assets.extra" / "splits.csv", newline="", encoding="utf-8") as file:
        assert {row["digest"]: row["split"] for row in csv.DictReader(file)} == splits


def test_what_is_no_normalization_or_crop_is_refused_before_anything_is_read(tmp_path, capsys):
    write_images(tmp_path / "photos", 3)
    for option, rule in (("normalize", "one of backbone, channel-mean"), ("crop", "one of center")):
        with pytest.raises(OptionError, match=f"--{option} must be {rule}"):
            toolkit.finetune(tmp_path / "photos", models_dir=tmp_path / "m", **{option: "x"})
        assert main.run(["finetune", "--data", str(tmp_path / "photos"), f"--{option}", "x"]) == 2
        assert f"--{option} must be" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
