"""Heads with hidden layers: built, trained, saved and loaded again."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.networks import make_network, make_residual, pixels, stages_of
from toolkit.classifier.boundary import cut_below
from toolkit.classifier.head import ACTIVATIONS, INITIALIZERS, MLP_L2, Head
from toolkit.classifier.mlp import attach_mlp, make_initializer
from toolkit.classifier.model import HEAD, freeze_below, frozen_layers, logits_model
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.optimization import Optimization

MEAN, DEVIATION = np.array([0.1, -0.2, 0, 0.3], np.float32), np.full(4, 0.2, np.float32)
LABELS = np.arange(12) % 3


def make_mlp(head: Head, network: keras.Model | None = None, dropout: float = 0.0) -> keras.Model:
    network = network or make_network()
    width = network.output_shape[1]
    mean, deviation = np.resize(MEAN, width), np.resize(DEVIATION, width)
    return attach_mlp(network, head, 3, mean, deviation, dropout, seed=4)


def train(model: keras.Model, folder, epochs: int = 2, **steps) -> Checkpoint:
    import tensorflow as tf

    logits = logits_model(model)
    images = pixels(12)
    checkpoint = Checkpoint(folder, patience=9, start=1e9)
    fine_tune(
        logits,
        lambda epochs: tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(6).repeat(),
        tf.data.Dataset.from_tensors((images, LABELS)),
        steps_per_epoch=2,
        epochs=epochs,
        optimization=Optimization(0.01, 0.0, **steps),
        checkpoint=checkpoint,
        callbacks=[],
    )
    return checkpoint


def history_of_a_deep_head(folder) -> list[dict[str, float]]:
    """Of a short training from weights that are the same on every backend."""
    folder.mkdir(exist_ok=True)
    head = Head("mlp", layers=2, width=6, activation="maxout", batchnorm=True, l1=1e-4, l2=1e-2)
    model = make_mlp(head)
    random = np.random.default_rng(2)
    model.set_weights([random.uniform(0.1, 0.9, weight.shape) for weight in model.weights])
    # Adam's first steps go by the signs of gradients, and tiny ones may have either.
    return train(model, folder, optimizer="sgd").history


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batchnorm", [False, True])
def test_every_head_trains_and_a_keras_file_brings_it_back(activation, batchnorm, tmp_path):
    head = Head("mlp", layers=2, width=5, activation=activation, batchnorm=batchnorm, l1=1e-4)
    network = make_network()
    model = make_mlp(head, network, dropout=0.2)
    before = model.get_weights()
    logits = logits_model(model)
    freeze_below(model, {"all": network.layers}, 0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits.compile(keras.optimizers.Adam(0.01), loss, run_eagerly=True)

    logits.train_on_batch(pixels(12), LABELS)

    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False] * 2 + [True] * (len(before) - 2), "all of the head, and it alone"
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again(pixels(3)), model(pixels(3)), atol=1e-6)
    np.testing.assert_allclose(np.sum(model(pixels(3)), axis=1), 1, atol=1e-5)


def test_a_keras_file_needs_keras_alone(tmp_path):
    head = Head("mlp", layers=2, activation="maxout", batchnorm=True, l2=1e-3)
    make_mlp(head).save(tmp_path / "model.keras")
    code = (
        "import sys; sys.modules['toolkit'] = None; import keras;"
        "keras.saving.load_model(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, tmp_path / "model.keras"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_it_computes_what_its_layers_say():
    model = make_mlp(Head("mlp", layers=1, width=6, activation="tanh"))
    features = np.asarray(make_network()(pixels(5)))
    hidden, logits = (model.get_layer(name).get_weights() for name in ("head_1_dense", HEAD))
    standardized = (features - MEAN) / DEVIATION
    expected = np.tanh(standardized @ hidden[0] + hidden[1]) @ logits[0] + logits[1]
    np.testing.assert_allclose(logits_model(model)(pixels(5)), expected, atol=1e-5)


def test_maxout_is_the_larger_of_two_pieces():
    model = make_mlp(Head("mlp", width=6, activation="maxout"))
    names = ["head_1_piece1_dense", "head_1_piece2_dense", "head_1_activation"]
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    one, two, largest = map(np.asarray, inner(pixels(5)))
    assert largest.shape == (5, 6) and 0 < (one > two).mean() < 1
    np.testing.assert_array_equal(largest, np.maximum(one, two))


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("glorot", np.sqrt(2 / (400 + 200))),
        ("he", np.sqrt(2 / 400)),
        ("lecun", np.sqrt(1 / 400)),
        ("orthogonal", np.sqrt(1 / 400)),
        ("zeros", 0),
        ("small-gaussian", 0.01),
        ("large-gaussian", 1),
    ],
)
def test_initial_kernels_have_the_spread_that_their_name_says(name, deviation):
    kernel = np.asarray(make_initializer(name, 1)((400, 200)))
    np.testing.assert_allclose(kernel.std(), deviation, rtol=0.02)
    np.testing.assert_array_equal(kernel, make_initializer(name, 1)((400, 200)))
    if name == "orthogonal":
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(200), atol=1e-5)


def test_every_initializer_is_of_all_kernels():
    assert set(INITIALIZERS) == {
        "glorot", "he", "lecun", "orthogonal", "zeros", "small-gaussian", "large-gaussian"
    }  # fmt: skip
    model = make_mlp(Head("mlp", layers=2, initializer="zeros"))
    for name in ("head_1_dense", "head_2_dense", HEAD):
        assert not np.any(model.get_layer(name).get_weights()[0])


def test_the_seed_decides_the_weights():
    one, two = (make_mlp(Head("mlp", layers=2)).get_weights() for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[2][:2, :2], one[4][:2, :2]), "each kernel is another draw"


@pytest.mark.parametrize(("l2", "expected"), [(None, MLP_L2), (0.0, 0.0), (0.5, 0.5)])
def test_the_penalty_is_on_kernels_alone(l2, expected):
    model = make_mlp(Head("mlp", width=6, l2=l2))
    for variable in model.get_layer("head_1_dense").weights + model.get_layer(HEAD).weights:
        variable.assign(np.full(variable.shape, 2.0))
    penalty = sum(float(loss) for loss in model.losses)
    assert penalty == pytest.approx(expected * 4 * (4 * 6 + 6 * 3))


def test_validations_loss_has_no_penalty(tmp_path):
    model = make_mlp(Head("mlp", width=6, l1=0.01, l2=0.5))
    [*_, row] = train(model, tmp_path, epochs=1).history
    probabilities = np.asarray(model(pixels(12)))[np.arange(12), LABELS]
    assert row["val_loss"] == pytest.approx(-np.log(probabilities).mean(), rel=1e-4)
    assert row["loss"] > row["val_loss"] + 0.5


def test_the_best_epoch_comes_back_with_its_batch_statistics(tmp_path):
    model = make_mlp(Head("mlp", width=6, batchnorm=True))
    norm = model.get_layer("head_1_batchnorm")
    checkpoint = train(model, tmp_path)
    trained = logits_model(model)
    best = [np.array(weight) for weight in norm.weights]
    assert np.any(best[2]), "the statistics have moved"
    norm.set_weights([np.full(w.shape, 9.0) for w in norm.weights])
    checkpoint.restore_best(trained)
    for value, weight in zip(best, norm.weights, strict=True):
        np.testing.assert_array_equal(value, weight)
    checkpoint.restore_start(trained)
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(6))


def test_a_resumed_training_goes_on_with_its_batch_statistics(tmp_path):
    head = Head("mlp", width=6, batchnorm=True)
    model = make_mlp(head)
    train(model, tmp_path)
    again = make_mlp(head)
    train(again, tmp_path)  # All its epochs are done.
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("unfreeze", [0, 1])
def test_cut_or_whole_the_head_is_trained_and_the_networks_statistics_are_not(unfreeze):
    network = make_residual()
    model, stages = make_mlp(Head("mlp", batchnorm=True), network), stages_of(network)
    trained = freeze_below(model, stages, unfreeze)
    cut = cut_below(model, frozen_layers(stages, trained))
    whole, upper = logits_model(model), cut.upper
    assert [v.path for v in whole.trainable_variables] == [
        v.path for v in upper.trainable_variables
    ]
    norms = {x.name: x.trainable for x in model.layers if "BatchNorm" in type(x).__name__}
    assert norms.pop("head_1_batchnorm") and not any(norms.values())
    lower = cut.lower(pixels(2))
    np.testing.assert_allclose(upper(lower), whole(pixels(2)), atol=1e-4)
