"""Bundles of untrained networks, made in a moment."""

import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from toolkit.data.batches import labelled_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.splits import assign_splits
from toolkit.data.table import TEST
from toolkit.evaluation.metrics import measure
from toolkit.progress import Reporter
from toolkit.serving import save

PREPARATION = Preparation(8, 8, 10**6)


def make_model(classes, seed=0, preparation=PREPARATION):
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((preparation.height, preparation.width, 3))
    hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 64)(pixels))
    return keras.Model(pixels, keras.layers.Dense(classes, "softmax")(hidden))


def make_trained(
    folder,
    perturbation=0.0,
    *,
    seed=0,
    preparation=PREPARATION,
    shares=(0.5, 0.25, 0.25),
    split_seed=0,
    classes=None,
    reject_below=0.0,
):
    """An untrained network's bundle-to-be; the probabilities are its own, or almost."""
    listing = list_source(folder)
    listing = listing if classes is None else dataclasses.replace(listing, classes=classes)
    table = assign_splits(scan(listing, 10**6, lambda items, *_: items), shares, split_seed)
    model = make_model(len(table.classes), seed, preparation)
    test = table.split(TEST)
    batches = labelled_batches(test, preparation, 64)
    probabilities = np.concatenate(
        [model.predict_on_batch(np.asarray(images)) for images, _ in batches]
    )
    probabilities[0, :2] += [perturbation, -perturbation]
    measured = measure(test.labels, probabilities, table.classes)
    return save.Trained(
        model=model,
        table=table,
        preparation=preparation,
        metrics={"chosen": "probe", "probe": measured, "validation": measured, "test": measured},
        history=[],
        test_probabilities=probabilities,
        run={
            "classes": table.classes,
            "options": {"augment": "none", "seed": 0, "monitor": "loss"},
            "preparation": dataclasses.asdict(preparation),
            "data": {"root": str(table.root)},
        },
        reject_below=reject_below,
    )


def make_bundle(model: Path, data: Path, **options) -> Path:
    """Saves an untrained network as `models/NAME/VERSION`, without the check of its export."""
    model.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "check_parity", lambda *_: 0.0)
        patch.setattr(save, "_draw", lambda *_: None)
        trained = make_trained(data, **options)
        progress = Reporter(quiet=True).progress
        return save.save_bundle(trained, model.parent / ".aside", model, progress).path


def rows_of(bundle, split):
    """The rows of a bundle's `splits.csv` that are of one split."""
    with open(bundle / "assets.extra" / "splits.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]
