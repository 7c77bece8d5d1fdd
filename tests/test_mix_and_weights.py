"""The whole job with mixed images and weighted classes."""

import csv

import pytest

import toolkit
from tests.conftest import COLOURS, SMALL, write_images
from tests.tiny import TINY
from toolkit.progress import Reporter

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_run_with_mixed_images_and_balanced_classes(tmp_path):
    images = write_images(tmp_path / "images", 20)  # No label is wrong: the probe's loss is small.
    # Hardly a step is taken, so that validation still measures the probe.
    options = SMALL | {"epochs": 1, "unfreeze": 1, "learning_rate": 1e-9}
    asked = {"mix": "mixup+cutmix", "imbalance": "class-weights"}
    result = toolkit.finetune(images, models_dir=tmp_path, **options, **asked)

    run, metrics = result.run, result.metrics
    assert {name: run["options"][name] for name in asked} == asked
    assert run["imbalance"] == "class-weights"
    assert (run["views"], run["engine"]["views"]) == (0, "")
    assert run["trained_on_images"] == "--mix draws other pairs of images in each epoch"
    with open(result.bundle.extra / "history.csv", newline="") as file:
        [row] = csv.DictReader(file)
    # What is measured is neither mixed nor weighted; what is trained on is.
    assert float(row["val_loss"]) == pytest.approx(metrics["probe"]["loss"], abs=1e-4)
    assert float(row["val_accuracy"]) == pytest.approx(metrics["probe"]["accuracy"])
    assert float(row["loss"]) > 1.2 * metrics["probe"]["loss"]


def test_auto_says_what_it_does_where_classes_are_uneven(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(Reporter, "say", lambda self, message: said.append(message))
    red, green, _ = COLOURS.items()
    folder = write_images(tmp_path / "images", 20, dict([red]))
    write_images(folder, 8, dict([green]), first_seed=100)

    result = toolkit.finetune(
        folder, models_dir=tmp_path, **TINY | {"epochs": 0}, imbalance="auto", optimizer="sgd"
    )

    assert any(
        message.startswith("--imbalance auto takes logit-adjustment: the largest class has ")
        for message in said
    )
    assert result.run["options"]["imbalance"] == "auto"
    assert result.run["imbalance"] == "logit-adjustment"
    assert result.run["options"]["learning_rate"] == TINY["learning_rate"]
