import keras
import numpy as np
import pytest

from toolkit.training.optimizer import make_optimizer

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, use_bias=True, name="conv")(inputs)
    hidden = keras.layers.DepthwiseConv2D(3, name="depthwise")(hidden)
    hidden = keras.layers.LayerNormalization(name="norm")(hidden)
    outputs = keras.layers.Dense(2, name="dense")(keras.layers.GlobalMaxPooling2D()(hidden))
    return keras.Model(inputs, outputs)


def rates(steps: int, learning_rate: float = 0.01) -> np.ndarray:
    optimizer = make_optimizer(make_model(), learning_rate, 0.0, steps)
    schedule = optimizer._learning_rate
    return np.array([float(schedule(step)) for step in range(steps + 1)])


def test_warm_up_rises_over_a_tenth_and_the_cosine_falls_to_zero():
    found = rates(1000)

    # A straight line to the highest rate at step 100, then (1 + cos) / 2 over the 900 left.
    assert found[100] == found.max() == pytest.approx(0.01)
    np.testing.assert_allclose(np.diff(found[:101]), (0.01 - 0.0001) / 100, rtol=1e-3)
    assert found[0] == pytest.approx(0.01 / 100)
    steps = np.arange(900)
    np.testing.assert_allclose(
        found[100:1000], 0.01 * (1 + np.cos(np.pi * steps / 900)) / 2, atol=1e-7
    )
    assert found[550] == pytest.approx(0.005, rel=1e-4)  # Halfway.
    assert found[1000] == pytest.approx(0, abs=1e-8)
    assert (np.diff(found[100:]) < 0).all()


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_no_step_of_a_short_run_is_lost(steps):
    found = rates(steps)[:steps]

    assert found.max() == pytest.approx(0.01)
    assert found.min() > 0


def _step_without_gradient(optimizer, model: keras.Model) -> None:
    variables = model.trainable_variables
    optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)


def test_weight_decay_spares_biases_and_scales():
    model = make_model()
    optimizer = make_optimizer(model, learning_rate=0.1, weight_decay=0.5, steps=10)
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, 2.0))
    rate = float(optimizer._learning_rate(0))

    # Without a gradient, all that a step does is the decay.
    _step_without_gradient(optimizer, model)

    values = {v.path: np.unique(np.array(v)) for v in model.trainable_variables}
    spared = {path for path, value in values.items() if np.array_equal(value, [2.0])}
    assert spared == {
        "conv/bias",
        "depthwise/bias",
        "norm/gamma",
        "norm/beta",
        "dense/bias",
    }
    for path in set(values) - spared:
        np.testing.assert_allclose(values[path], 2.0 * (1 - 0.5 * rate), rtol=1e-6)
    assert set(values) - spared == {"conv/kernel", "depthwise/kernel", "dense/kernel"}


def test_without_weight_decay_nothing_decays():
    model = make_model()
    optimizer = make_optimizer(model, 0.1, 0.0, 10)
    before = [np.array(v) for v in model.trainable_variables]

    _step_without_gradient(optimizer, model)

    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_gradients_are_clipped_together():
    found = []
    for size in (1.0, 1000.0):  # The second is clipped to norm 1, as the first has.
        variable = keras.Variable(np.zeros(3, np.float32))
        model = make_model()
        optimizer = make_optimizer(model, 0.1, 0.0, 10)
        gradient = np.array([0.6, 0.8, 0.0], np.float32) * size
        optimizer.build([variable])
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        found.append([np.array(v) for v in optimizer.variables])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)
