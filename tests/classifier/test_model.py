import keras
import numpy as np
import pytest

from toolkit import backbones
from toolkit.classifier.model import HEAD, attach_head, freeze_below, logits_model
from toolkit.training.probe import Probe


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return backbones.load("efficientnet-lite0", weights="random", image_size=32)


def pixels(count: int = 8) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 32, 32, 3)).astype(np.float32)


def run(model: keras.Model, count: int = 8) -> np.ndarray:
    """What a model gives for images, without compiling it first."""
    return np.asarray(model(pixels(count)))


def make_probe(classes: int = 3, width: int = 1280) -> Probe:
    random = np.random.default_rng(1)
    kernel = random.normal(0, 0.3, (width, classes)).astype(np.float32)
    return Probe(kernel, random.normal(size=classes).astype(np.float32), 0.1, {})


def with_head(network, dropout: float = 0.2):
    probe = make_probe()
    model = attach_head(network.model, probe.kernel, probe.bias, dropout)
    return model, probe, backbones.stage_layers(network.model, network.backbone)


def test_the_head_gives_the_probes_probabilities(network):
    model, probe, _ = with_head(network)
    features = run(network.model)

    probabilities = run(model)

    np.testing.assert_allclose(probabilities, probe.predict(features), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert np.ptp(probabilities) > 0.1
    assert model.output_shape == (None, 3)


def test_logits_are_of_the_same_layers(network):
    model, probe, _ = with_head(network)
    logits = logits_model(model)

    features = run(network.model)
    np.testing.assert_allclose(run(logits), features @ probe.kernel + probe.bias, atol=1e-4)
    model.get_layer(HEAD).bias.assign([9.0, 0.0, 0.0])
    assert (run(logits).argmax(1) == 0).all()


def test_dropout_acts_in_training_only(network):
    model, _, _ = with_head(network, dropout=0.5)
    images = pixels(2)

    still = [np.asarray(model(images, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert model.get_layer("head_dropout").rate == 0.5


@pytest.mark.parametrize("unfreeze", [0, 1, 3, None])
def test_the_top_stages_and_the_head_are_trained(network, unfreeze):
    model, _, stages = with_head(network)
    unfreeze = len(stages) if unfreeze is None else unfreeze

    names = freeze_below(model, stages, unfreeze)

    assert names == list(stages)[len(stages) - unfreeze :]
    trained = {layer.name for name in names for layer in stages[name]} | {HEAD, "head_dropout"}
    for layer in model.layers:
        norm = isinstance(layer, keras.layers.BatchNormalization)
        assert layer.trainable == (layer.name in trained and not norm)
    assert len(model.trainable_variables) >= 2
    # Frozen again, whatever was trained before.
    freeze_below(model, stages, 0)
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {HEAD}


@pytest.mark.parametrize("unfreeze", [0, 3])
def test_batchnorm_is_thawed_in_the_trained_stages_alone(network, unfreeze):
    model, _, stages = with_head(network)
    names = freeze_below(model, stages, unfreeze, train_batchnorm=True)
    trained = {layer.name for name in names for layer in stages[name]} | {HEAD, "head_dropout"}
    for layer in model.layers:
        assert layer.trainable == (layer.name in trained)
    freeze_below(model, stages, unfreeze)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms and not any(layer.trainable for layer in norms)


def test_training_leaves_frozen_weights_and_all_batch_statistics_bit_identical(network):
    model, _, stages = with_head(network)
    names = freeze_below(model, stages, 2)
    before = {w.path: np.array(w) for w in model.weights}
    trained = logits_model(model)
    trained.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    trained.fit(pixels(16), np.arange(16) % 3, batch_size=8, epochs=1, verbose=0)

    changed = {w.path for w in model.weights if not np.array_equal(before[w.path], w)}
    assert changed == {w.path for w in model.trainable_variables}
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert any(layer in stages[name] for layer in layers for name in names)
    norms = {w.path for layer in layers for w in layer.weights}
    assert any("moving_mean" in path for path in norms)
    assert not changed & norms


def test_without_freezing_batch_statistics_would_change(network):
    # Or the test above would show nothing.
    model, _, _ = with_head(network)
    for layer in model.layers:
        layer.trainable = True
    trained = logits_model(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile("sgd", loss, run_eagerly=True)
    norm = next(x for x in model.layers if isinstance(x, keras.layers.BatchNormalization))
    before, weights = np.array(norm.moving_mean), model.get_weights()

    trained.fit(pixels(4), np.arange(4) % 3, batch_size=4, epochs=1, verbose=0)

    assert not np.array_equal(before, norm.moving_mean)
    model.set_weights(weights)
