"""`predict` and `evaluate` on OpenVINO: the SavedModel's own answers, sooner."""

import importlib.util
import logging

import numpy as np
import pytest
import tensorflow as tf

import toolkit
from tests.conftest import run_toolkit
from toolkit.classifier import openvino
from toolkit.errors import MissingPackageError, OptionError
from toolkit.serving import engines, network
from toolkit.serving.engines import BFLOAT16, FLOAT32, TENSORFLOW, choose_engine


@pytest.fixture
def files(images):
    return sorted(images.rglob("*.jpg"))[:40]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))


def probabilities(classifier, files):
    return np.array([prediction.probabilities for prediction in classifier.predict(files)])


def test_openvino_gives_the_saved_models_probabilities(finished, files):
    expected = probabilities(toolkit.load(finished.path, TENSORFLOW), files)
    classifier = toolkit.load(finished.path, FLOAT32)
    given = probabilities(classifier, files)
    assert list(classifier._networks) == [FLOAT32]
    np.testing.assert_allclose(given, expected, atol=1e-5)
    rounded = probabilities(toolkit.load(finished.path, BFLOAT16), files)
    np.testing.assert_allclose(rounded, expected, atol=0.2)


def test_few_images_do_not_wait_for_a_conversion(monkeypatch):
    assert choose_engine("auto", engines.MANY - 1) == TENSORFLOW
    assert choose_engine("auto", engines.MANY) == FLOAT32
    assert choose_engine(BFLOAT16, 1) == BFLOAT16
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert choose_engine("auto", engines.MANY) == TENSORFLOW, "there is a GPU"


def test_many_images_are_predicted_by_openvino(finished, files, monkeypatch):
    monkeypatch.setattr(engines, "MANY", 10)
    classifier = toolkit.load(finished.path)
    few, many = classifier.predict(files[:5]), classifier.predict(files)
    assert list(classifier._networks) == [FLOAT32]
    np.testing.assert_allclose(few[3].probabilities, many[3].probabilities, atol=1e-5)


def test_the_converted_network_is_kept(finished, files, own_cache, monkeypatch):
    first = probabilities(toolkit.load(finished.path, FLOAT32), files)
    monkeypatch.setattr(network, "_convert", None)  # Not even asked.
    again = probabilities(toolkit.load(finished.path, FLOAT32), files)
    np.testing.assert_array_equal(first, again)


def test_what_differs_from_the_saved_model_is_not_used(finished, files, monkeypatch, caplog):
    compiled = openvino.compile_network

    def wrong(*arguments):
        run = compiled(*arguments)
        return lambda images: run(images)[:, ::-1]

    monkeypatch.setattr(network.openvino, "compile_network", wrong)
    expected = probabilities(toolkit.load(finished.path, TENSORFLOW), files)
    with caplog.at_level(logging.WARNING, "toolkit"):
        given = probabilities(toolkit.load(finished.path, FLOAT32), files)
    np.testing.assert_allclose(given, expected, atol=1e-6)
    [message] = caplog.messages
    assert message.startswith("openvino-float32 is not used: it differs from the SavedModel by")


def test_a_bundle_that_prepares_images_in_another_way_keeps_to_its_saved_model(finished, files):
    classifier = toolkit.load(finished.path, FLOAT32)
    classifier.run = {**classifier.run}
    classifier.run["preparation"] = {**classifier.run["preparation"], "version": 1}
    classifier.predict(files[:2])
    assert classifier._networks == {}


def test_damaged_images_are_named_as_ever(finished, files, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(files[0].read_bytes()[:900])
    results = list(
        toolkit.load(finished.path, FLOAT32).predict_each([*files, tmp_path / "bad.jpg"])
    )
    assert [type(each).__name__ for each in results] == ["Prediction"] * len(files) + ["Problem"]


def test_bad_engines_are_refused(finished, monkeypatch):
    with pytest.raises(OptionError, match="--engine must be one of auto, tensorflow, openvino"):
        toolkit.load(finished.path, "keras")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "openvino" else find_spec(name, *more),
    )
    with pytest.raises(MissingPackageError, match="pip install openvino"):
        toolkit.load(finished.path, FLOAT32)
    assert choose_engine("auto", 10**6) == TENSORFLOW


def test_the_command_takes_the_engine(finished, files):
    done = run_toolkit("predict", finished.path, files[0], "--engine", "fast")
    assert done.returncode == 2
    assert "--engine must be one of auto, tensorflow" in done.stderr
    done = run_toolkit("predict", finished.path, *files[:3], "--engine", FLOAT32, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
