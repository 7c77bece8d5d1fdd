"""Soups of small saved classifiers, from the first to the last step."""

import json

import keras
import numpy as np
import pytest

import toolkit
from tests.bundles import make_bundle, rows_of
from toolkit.cli.main import run
from toolkit.errors import MemberError, OptionError, TooFewToFitError

CLASSES = ["blue", "green", "red"]
ORDERS = [[0, 1, 2], [1, 2, 0]]
"""Where these are among each ingredient's own classes."""


@pytest.fixture(scope="module")
def ingredients(members):
    """Two classifiers of one architecture; the second has its classes in another order."""
    return [members[0], members[2]]


@pytest.fixture(scope="module")
def uniform(ingredients, tmp_path_factory):
    """The soup of all. Not to be changed."""
    folder = tmp_path_factory.mktemp("soup")
    options = {"recipe": "uniform", "reject_below": 0.5, "models_dir": folder, "quiet": True}
    return toolkit.soup(ingredients, "ac", **options)


@pytest.fixture
def unchecked(monkeypatch):
    """Exports are not checked again: a process of its own each."""
    monkeypatch.setattr("toolkit.serving.save.check_parity", lambda *_: 0.0)
    monkeypatch.setattr("toolkit.serving.save._draw", lambda *_: None)


def linear(bundle):
    """The one layer that such a classifier has: kernel and bias."""
    return toolkit.load(bundle).model.get_weights()


def averaged(bundles, orders):
    pairs = [
        (kernel[:, order], bias[order])
        for (kernel, bias), order in zip(map(linear, bundles), orders, strict=True)
    ]
    return [np.mean(arrays, axis=0) for arrays in zip(*pairs, strict=True)]


def test_a_soup_has_the_mean_of_the_members_weights_in_one_order_of_classes(
    uniform, ingredients, images
):
    wanted = averaged(ingredients, ORDERS)
    for given, mean in zip(linear(uniform.path), wanted, strict=True):
        np.testing.assert_allclose(given, mean, rtol=1e-6)
        assert given.dtype == np.float32
    assert uniform.classifier.classes == CLASSES
    assert uniform.run["export_difference"] < 1e-5
    tested = [images / row["path"] for row in rows_of(uniform.path, "test")]
    labels = [row["label"] for row in rows_of(uniform.path, "test")]
    predicted = toolkit.load(uniform.path, "tensorflow").predict(tested)
    right = np.mean([each.label == label for each, label in zip(predicted, labels, strict=True)])
    assert uniform.metrics["test"]["accuracy"] == pytest.approx(right)


def test_its_record_tells_what_it_was_made_of(uniform, ingredients):
    metrics, record = uniform.metrics, uniform.run
    assert metrics["chosen"] == "soup"
    assert [member["weight"] for member in metrics["members"]] == [0.5, 0.5]
    assert [member["path"] for member in record["members"]] == list(map(str, ingredients))
    assert record["preparation"]["height"] == 8
    for member, path in zip(metrics["members"], ingredients, strict=True):
        own = toolkit.load(path).metrics["test"]
        assert member["test"]["loss"] == pytest.approx(own["loss"], abs=1e-5)
    best = max(metrics["members"], key=lambda each: each["validation"]["accuracy"])
    assert metrics["gain"]["over"] == best["name"]
    assert metrics["recommended"] in ("soup", best["name"])
    assert metrics["validation"]["n"] == len(rows_of(ingredients[0], "validation"))


def test_it_rejects_what_it_is_not_sure_of(uniform, images):
    tested = [images / row["path"] for row in rows_of(uniform.path, "test")]
    rejected = [each.rejected for each in toolkit.load(uniform.path).predict(tested)]
    assert uniform.run["reject_below"] == uniform.run["options"]["reject_below"] == 0.5
    assert uniform.metrics["test"]["selective"]["answered"] == rejected.count(False)


def test_what_a_member_has_seen_is_seen_by_the_soup(uniform, images):
    measured = uniform.classifier.evaluate(images, quiet=True)
    assert measured.seen == 60 - uniform.metrics["test"]["n"]
    assert measured.metrics["loss"] == pytest.approx(uniform.metrics["test"]["loss"], abs=1e-5)


def test_greedy_soup_is_no_worse_on_validation_than_its_best_member(
    ingredients, tmp_path, unchecked
):
    result = toolkit.soup(ingredients, "ac", models_dir=tmp_path, quiet=True)
    members, metrics = result.metrics["members"], result.metrics
    accuracies = [member["validation"]["accuracy"] for member in members]
    assert metrics["validation"]["accuracy"] >= max(accuracies)
    taken = [place for place, member in enumerate(members) if member["weight"]]
    assert int(np.argmax(accuracies)) in taken
    assert sum(member["weight"] for member in members) == pytest.approx(1)
    wanted = averaged([ingredients[k] for k in taken], [ORDERS[k] for k in taken])
    order = ORDERS[0]
    np.testing.assert_allclose(linear(result.path)[0], wanted[0][:, order], rtol=1e-6)
    # An ingredient that was tried has the accuracy of the soup with it.
    assert all(0 <= member["soup_accuracy"] <= 1 for member in members)


def test_a_soup_may_be_a_member_of_an_ensemble_and_not_the_other_way_round(
    uniform, ingredients, tmp_path, unchecked
):
    both = [uniform.path, ingredients[0]]
    together = toolkit.ensemble(both, "together", models_dir=tmp_path, quiet=True)
    assert together.metrics["test"]["n"] == uniform.metrics["test"]["n"]
    with pytest.raises(MemberError, match=r"single networks\. Received: together/1, an ensemble"):
        toolkit.soup([together.path, ingredients[0]], "x", models_dir=tmp_path, quiet=True)


def refused(error, models, tmp_path, match, **options):
    with pytest.raises(error, match=match) as caught:
        toolkit.soup(models, "x", models_dir=tmp_path / "none", quiet=True, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "none" / "x").exists()


def test_what_cannot_be_averaged_is_refused(ingredients, members, images, tmp_path, monkeypatch):
    refused(MemberError, ingredients[:1], tmp_path, "at least two different models")
    refused(MemberError, [ingredients[0]] * 2, tmp_path, "different models.*twice. Give it once")
    refused(OptionError, ingredients, tmp_path, "--recipe must be one of", recipe="tomato")
    refused(OptionError, ingredients, tmp_path, "--reject-below must be", reject_below=1.0)
    match = (
        r"alike. Received: a/1 takes 8 x 8 pixels \(--crop center\), "
        r"b/1 10 x 12 pixels \(--crop squash\)"
    )
    refused(MemberError, members[:2], tmp_path, match)

    def deeper(classes, seed, preparation):
        pixels = keras.Input((preparation.height, preparation.width, 3))
        hidden = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 32)(pixels))
        return keras.Model(pixels, keras.layers.Dense(classes, "softmax")(hidden))

    monkeypatch.setattr("tests.bundles.make_model", deeper)
    other = make_bundle(tmp_path / "other", images)
    match = r"one architecture. Received: other/1 has Rescaling '.*' with scale 0.03125, not 0.015"
    refused(MemberError, [ingredients[0], other], tmp_path, match)


def test_greedy_soup_needs_common_validation_images(ingredients, tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.souping.IMAGES_FOR_EACH", 30)
    match = "--recipe greedy needs 60 images.*or give --recipe uniform"
    refused(TooFewToFitError, ingredients[:2], tmp_path, match)


def test_the_command_prints_the_members_and_the_soup(uniform, ingredients, monkeypatch, capsys):
    given = {}

    def soup(models, **options):
        given.update(options, models=models)
        return uniform

    monkeypatch.setattr("toolkit.souping.soup", soup)
    arguments = ["soup", *map(str, ingredients), "--name", "ac", "--recipe", "uniform"]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    n = uniform.metrics["test"]["n"]
    for part in (
        f"On {n} test images",
        "a/1",
        "yes",
        "log-loss",
        "soup",
        "answered",
        "toolkit predict",
    ):
        assert part in printed
    assert given["models"] == tuple(map(str, ingredients))
    assert (given["name"], given["recipe"], given["data"]) == ("ac", "uniform", None)
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(uniform.path)
