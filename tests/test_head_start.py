"""What fine-tuning starts from: the probe's head, or an MLP that was trained alone."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.conftest import quietly, write_images
from tests.networks import make_residual
from tests.test_options import GOOD
from toolkit import head_start
from toolkit.classifier.engine import keras_engine
from toolkit.classifier.model import HEAD, attach_head
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.evaluation.metrics import measure
from toolkit.head_start import start_head
from toolkit.probing import FrozenNetwork, compute_split_features, fit_on_features
from toolkit.progress import Reporter
from toolkit.training.time_budget import TimeBudget


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """A frozen network and the probe on it."""
    table = scan(list_source(write_images(tmp_path_factory.mktemp("p"), 20)), 10**8, quietly)
    options = dataclasses.replace(GOOD, split=(0.5, 0.3, 0.2), cache_size=0)
    frozen = FrozenNetwork(make_residual(), Preparation(16, 16), options, Reporter(quiet=True))
    engine = keras_engine(frozen.model)
    features = compute_split_features(frozen, table, engine)
    return frozen, fit_on_features(frozen, features, engine)


def start(probed, folder, budget=None, **options):
    frozen, probe = probed
    changed = dataclasses.replace(frozen.options, **options)
    return start_head(dataclasses.replace(frozen, options=changed), probe, folder, budget)


def test_a_linear_head_is_the_probe_as_ever(probed, tmp_path):
    frozen, probe = probed
    begun = start(probed, tmp_path / "head")

    expected = attach_head(frozen.model, probe.probe.kernel, probe.probe.bias, 0.2, 0)
    names = [layer.name for layer in expected.layers]
    assert [layer.name for layer in begun.model.layers] == names
    config, same = (m.get_layer(HEAD).get_config() for m in (expected, begun.model))
    assert config == same and same["kernel_regularizer"] is None
    assert begun.model.get_layer("head_dropout").rate == 0.2
    for one, two in zip(begun.model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert begun.metrics is probe.metrics
    assert not (tmp_path / "head").exists()


def test_a_linear_head_may_have_a_penalty(probed, tmp_path):
    model = start(probed, tmp_path, l1=0.1, l2=0.2).model
    kernel = model.get_layer(HEAD).get_weights()[0]
    [penalty] = model.losses
    assert float(penalty) == pytest.approx(
        0.1 * np.abs(kernel).sum() + 0.2 * np.square(kernel).sum(), rel=1e-5
    )


def test_an_mlp_was_trained_alone_and_is_measured_as_it_will_be_served(
    probed, tmp_path, monkeypatch
):
    frozen, probe = probed
    before = [np.array(w) for w in frozen.model.weights]
    monkeypatch.setattr(head_start, "LEARNING_RATE", 0.02)
    monkeypatch.setattr(head_start, "MOST_EPOCHS", 12)
    begun = start(probed, tmp_path / "head", head="mlp", head_batchnorm=True)

    for weight, value in zip(frozen.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    upper = keras.Model(frozen.model.output, begun.model.output)
    validation = probe.validation
    probabilities = np.asarray(upper(validation.values))
    expected = measure(validation.table.labels, probabilities, validation.table.classes)
    assert begun.metrics["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    assert begun.metrics["accuracy"] == expected["accuracy"]
    assert begun.metrics["loss"] < 0.8 * np.log(3), "it has learned"

    def refuse(*arguments, **named):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(head_start, "stored_batches", refuse)
    again = start(probed, tmp_path / "head", head="mlp", head_batchnorm=True)
    assert again.metrics == begun.metrics, "a resumed run starts where the first did"


def test_a_time_budget_ends_an_mlps_training_too(probed, tmp_path, monkeypatch):
    monkeypatch.setattr(head_start, "MOST_EPOCHS", 5)
    used_up = TimeBudget(seconds=1.0, elapsed=lambda: 2.0)
    random = start(probed, tmp_path / "head", used_up, head="mlp").model.get_weights()
    enough = TimeBudget(seconds=3.0, elapsed=lambda: 2.0)
    resumed = start(probed, tmp_path / "head", enough, head="mlp").model.get_weights()
    whole = start(probed, tmp_path / "other", head="mlp").model.get_weights()

    assert any((one != two).any() for one, two in zip(random, whole, strict=True))
    for one, two in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(one, two)
