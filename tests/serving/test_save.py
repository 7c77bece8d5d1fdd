"""Saving, with a network that is made in a moment."""

import keras
import numpy as np
import pytest

from tests.conftest import COLOURS, write_images
from toolkit.data.batches import labelled_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.splits import assign_splits
from toolkit.data.table import TEST
from toolkit.errors import ParityError
from toolkit.evaluation.metrics import measure
from toolkit.progress import Reporter
from toolkit.serving import parity
from toolkit.serving.loaded import Classifier
from toolkit.serving.save import Trained, save_bundle

PREPARATION = Preparation(8, 8, 10**6)


def make_model(classes):
    pixels = keras.Input((8, 8, 3))
    hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 64)(pixels))
    return keras.Model(pixels, keras.layers.Dense(classes, "softmax")(hidden))


def make_trained(folder, perturbation=0.0):
    """An untrained network's bundle-to-be; the probabilities are its own, or almost."""
    table = assign_splits(
        scan(list_source(folder), 10**6, lambda items, *_: items), (0.5, 0.25, 0.25), 0
    )
    keras.utils.set_random_seed(0)
    model = make_model(len(table.classes))
    test = table.split(TEST)
    batches = labelled_batches(test, PREPARATION, 64)
    probabilities = np.concatenate([model.predict_on_batch(images) for images, _ in batches])
    probabilities[0, :2] += [perturbation, -perturbation]
    measured = measure(test.labels, probabilities, table.classes)
    return Trained(
        model=model,
        table=table,
        preparation=PREPARATION,
        metrics={"chosen": "probe", "probe": measured, "validation": measured, "test": measured},
        history=[],
        test_probabilities=probabilities,
        run={
            "classes": table.classes,
            "options": {"augment": "none", "seed": 0, "monitor": "loss"},
            "preparation": {"height": 8, "width": 8, "max_pixels": 10**6},
        },
    )


def test_a_bundle_is_made_aside_and_published_whole(tmp_path):
    names = ["[red]", "naïve 'x' \"y\"", "caf\udce9"]  # The last one is no valid text.
    classes = dict(zip(names, COLOURS.values(), strict=True))
    trained = make_trained(write_images(tmp_path / "data", 5, classes))
    model = tmp_path / "models" / "colours"
    model.mkdir(parents=True)
    bundle = save_bundle(trained, tmp_path / "aside", model, Reporter(quiet=True).progress)
    assert bundle.path == model / "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "models"]
    assert bundle.read("run.json")["export_difference"] <= 1e-6
    assert bundle.read("metrics.json")["test"]["per_class"].keys() == set(names)
    test = trained.table.split(TEST)
    classifier = Classifier(model)
    predictions = classifier.predict([test.file(row) for row in range(len(test))])
    given = np.array([prediction.probabilities for prediction in predictions])
    np.testing.assert_allclose(given, trained.test_probabilities, atol=1e-6)
    assert classifier.classes == sorted(names)


def test_an_export_that_disagrees_is_not_published(images, tmp_path):
    model = tmp_path / "models" / "colours"
    model.mkdir(parents=True)
    with pytest.raises(ParityError, match=r"differ by 0\.00(1|099)") as caught:
        save_bundle(
            make_trained(images, 1e-3), tmp_path / "aside", model, Reporter(quiet=True).progress
        )
    assert "Nothing was published" in str(caught.value)
    assert list(model.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_nan_is_a_disagreement(images, monkeypatch, tmp_path):
    trained = make_trained(images)
    expected = np.full_like(trained.test_probabilities[:1], np.nan)
    answers = [("answer", trained.test_probabilities[:1])]

    def answer_at_once(command, **options):
        np.save(command[-1], answers[0][1])
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(parity.subprocess, "run", answer_at_once)
    with pytest.raises(ParityError):
        parity.check_parity(tmp_path, [tmp_path], expected)
