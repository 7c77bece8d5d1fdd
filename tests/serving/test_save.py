"""Saving, with a network that is made in a moment."""

import numpy as np
import pytest

from tests.bundles import make_trained
from tests.conftest import COLOURS, write_images
from toolkit.data.table import TEST
from toolkit.errors import ParityError
from toolkit.progress import Reporter
from toolkit.serving import parity
from toolkit.serving.loaded import Classifier
from toolkit.serving.save import save_bundle


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
