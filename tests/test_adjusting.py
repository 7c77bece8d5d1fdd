"""`--imbalance logit-adjustment`: what is kept takes all classes to be equally frequent."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import toolkit
from tests.conftest import COLOURS, write_images
from tests.networks import make_network, pixels, with_head
from tests.tiny import TINY
from toolkit.adjusting import adjust_choice
from toolkit.choosing import Choice
from toolkit.data.table import ImageTable
from toolkit.ensembles.logit_adjustment import fit_adjustment
from toolkit.evaluation.validation import measure_validation
from toolkit.progress import Reporter

pytestmark = pytest.mark.usefixtures("tiny")

CLASSES = ["blue", "green", "red"]
QUIET = Reporter(quiet=True)


def prepared_of(train, validation, imbalance):
    """All images of a job: labels of two of its splits."""
    labels = np.concatenate([train, validation])
    names = np.array([f"{row}.jpg" for row in range(len(labels))], object)
    splits = np.array(["train"] * len(train) + ["validation"] * len(validation), object)
    table = ImageTable(Path(), CLASSES, names, labels, names, splits)
    return SimpleNamespace(table=table, options=SimpleNamespace(imbalance=imbalance))


@pytest.fixture
def choice():
    """A network, and what it gives for 40 images."""
    model, images = with_head(make_network()), pixels(40)
    before = model.predict(images, verbose=0)
    labels = np.random.default_rng(0).integers(0, 3, 40)
    kept = Choice("finetuned", "", measure_validation(labels, before, CLASSES), model, before)
    return kept, images, labels


@pytest.mark.parametrize("imbalance", ["logit-adjustment", "auto"])
def test_the_model_itself_gives_what_is_fitted_on_validation(choice, imbalance):
    kept, images, _ = choice
    # Labels by what the network would say without the shares that it took in.
    train = np.repeat([0, 1, 2], [60, 30, 10])
    shares = np.log([0.6, 0.3, 0.1])
    shares -= shares.mean()
    labels = (np.log(kept.validation) - 3 * shares).argmax(axis=1)
    found = adjust_choice(prepared_of(train, labels, imbalance), kept, QUIET)

    fitted = fit_adjustment(labels, kept.validation, shares)
    assert fitted.is_sure
    np.testing.assert_allclose(found.lowered, fitted.lowered, rtol=1e-3)
    odds = kept.validation * np.exp(-fitted.lowered)
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.validation, expected, atol=1e-5)
    np.testing.assert_allclose(kept.model.predict(images, verbose=0), expected, atol=1e-5)
    assert found.metrics == measure_validation(labels, found.validation, CLASSES)


def test_auto_leaves_logits_whose_gain_is_not_sure(choice, capsys):
    kept, images, labels = choice
    train = np.repeat([0, 1, 2], [60, 30, 10])
    found = adjust_choice(prepared_of(train, labels, "auto"), kept, Reporter())
    assert not found.adjustment.is_sure
    assert isinstance(found.lowered, float)
    assert found.metrics == kept.metrics
    np.testing.assert_array_equal(kept.model.predict(images, verbose=0), kept.validation)
    assert (
        "Logits stay as they are, as the gain may be chance: validation's loss, each class "
        in capsys.readouterr().err
    )
    asked = adjust_choice(prepared_of(train, labels, "logit-adjustment"), kept, QUIET)
    assert np.abs(asked.lowered).max() > 0.1


@pytest.mark.parametrize("imbalance", ["none", "class-weights", "resample"])
def test_other_ways_leave_it_as_it_is(choice, imbalance):
    kept, images, labels = choice
    train = np.repeat([0, 1, 2], [60, 30, 10])
    assert adjust_choice(prepared_of(train, labels, imbalance), kept, QUIET) is kept
    np.testing.assert_array_equal(kept.model.predict(images, verbose=0), kept.validation)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """60 red, 40 green and 20 blue images."""
    folder = tmp_path_factory.mktemp("uneven") / "images"
    for (name, colour), count in zip(COLOURS.items(), (60, 40, 20), strict=True):
        write_images(folder, count, {name: colour})
    return folder


@pytest.mark.parametrize("calibrate", [False, True])
def test_it_is_trained_as_without_and_served_adjusted(uneven, tmp_path, calibrate):
    options = TINY | {"epochs": 0, "calibrate": calibrate, "split": (0.5, 0.25, 0.25)}
    without, adjusted = (
        toolkit.finetune(uneven, models_dir=tmp_path / way, imbalance=way, **options)
        for way in ("none", "logit-adjustment")
    )
    assert adjusted.metrics["probe"] == without.metrics["probe"]
    first, second = (result.classifier.model.get_weights() for result in (without, adjusted))
    assert all((a == b).all() for a, b in zip(first[:-2], second[:-2], strict=True))
    lowered = adjusted.run["logits_lowered_by"]
    assert lowered["red"] > lowered["green"] > lowered["blue"]
    assert adjusted.run["logit_adjustment"].keys() == {"gain", "standard_error"}
    assert without.run["logits_lowered_by"] == {}
    assert without.run["logit_adjustment"] is None
    files, blue = sorted(uneven.rglob("*.jpg")), []
    for result in (without, adjusted):
        served = result.classifier.evaluate(uneven, quiet=True).metrics
        assert served["loss"] == pytest.approx(result.metrics["test"]["loss"], abs=1e-4)
        blue.append(np.mean([p.probabilities[0] for p in result.classifier.predict(files)]))
    assert blue[1] > blue[0], "the rarest"
    record = adjusted.metrics.get("calibration", {"after": None})
    assert (record["after"] is not None) == calibrate
    assert not calibrate or record["after"]["loss"] == adjusted.metrics["test"]["loss"]
