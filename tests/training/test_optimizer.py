import keras
import numpy as np
import pytest

from toolkit.errors import UnknownNameError
from toolkit.training.optimization import Optimization
from toolkit.training.optimizer import make_learning_rate, make_optimizer
from toolkit.training.optimizer_entries import OPTIMIZERS, find_optimizer
from toolkit.training.schedules import FALLS, make_schedule

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
    optimizer = make_optimizer(make_model(), Optimization(learning_rate, 0.0), steps)
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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_spares_biases_and_scales(name):
    model = make_model()
    optimizer = make_optimizer(model, Optimization(0.1, 0.5, name), steps=10)
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
    optimizer = make_optimizer(model, Optimization(0.1, 0.0), 10)
    before = [np.array(v) for v in model.trainable_variables]

    _step_without_gradient(optimizer, model)

    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_gradients_are_clipped_together():
    found = []
    for size in (1.0, 1000.0):  # The second is clipped to norm 1, as the first has.
        variable = keras.Variable(np.zeros(3, np.float32))
        model = make_model()
        optimizer = make_optimizer(model, Optimization(0.1, 0.0), 10)
        gradient = np.array([0.6, 0.8, 0.0], np.float32) * size
        optimizer.build([variable])
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        found.append([np.array(v) for v in optimizer.variables])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)


@pytest.mark.parametrize("name", FALLS)
def test_inside_the_optimizer_a_schedule_has_the_plain_functions_values(name):
    optimizer = make_optimizer(make_model(), Optimization(0.01, 0.0, schedule=name, warmup=0.2), 50)
    expected = make_schedule(name, 0.01, 50, warmup=0.2)
    for step in (0, 3, 9, 10, 11, 20, 33, 49, 50):
        optimizer.iterations.assign(step)
        found = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        assert found == pytest.approx(float(expected(np.float64(step))), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", ["cosine", "step"])
def test_a_schedule_can_be_made_again_from_its_config(name):
    schedule = make_learning_rate(name, 0.01, 50, 0.2, swa=0.4)
    again = type(schedule).from_config(schedule.get_config())
    assert float(again(25)) == float(schedule(25)) > 0.005
    assert float(again(30)) == float(schedule(30)) == pytest.approx(0.005)


def test_the_plateaus_factor_is_one_of_the_optimizers_variables():
    optimizer = make_optimizer(make_model(), Optimization(0.01, 0.0, schedule="plateau"), 50)
    assert [v is optimizer.plateau_factor for v in optimizer.variables].count(True) == 1
    optimizer.iterations.assign(30)
    optimizer.plateau_factor.assign(0.2)
    assert float(optimizer.learning_rate) == pytest.approx(0.002)


@pytest.mark.parametrize("clip_norm", [0.5, 2.0, 0.0])
def test_clipping_bounds_the_update(clip_norm):
    # Two variables: the norm is that of both together.
    variables = [keras.Variable(np.zeros(2, np.float32)) for _ in range(2)]
    optimizer = make_optimizer(
        make_model(), Optimization(1.0, 0.0, "sgd", "constant", clip_norm=clip_norm), 1
    )
    optimizer.build(variables)
    gradients = [np.array([3, 0], np.float32), np.array([0, 4], np.float32)]
    optimizer.apply([keras.ops.convert_to_tensor(each) for each in gradients], variables)
    update = np.concatenate([np.array(v) for v in variables])
    # The first step with Nesterov's momentum of 0.9 is 1.9 times the gradient.
    assert np.linalg.norm(update) == pytest.approx(1.9 * (clip_norm or 5), rel=1e-5)


def test_the_average_of_the_weights_is_the_one_worked_out_by_hand():
    variable = keras.Variable(np.zeros(1, np.float32))
    optimizer = make_optimizer(
        make_model(), Optimization(1.0, 0.0, "sgd", "constant", ema=0.75, clip_norm=0), 1
    )
    optimizer.build([variable])
    expected = None
    for gradient in (1.0, -2.0, 4.0):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [variable])
        weight = np.array(variable)[0]
        expected = weight if expected is None else 0.75 * expected + 0.25 * weight
    [average] = optimizer._model_variables_moving_average
    assert np.array(average)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_known_to_keras_and_has_a_learning_rate(name):
    entry = find_optimizer(name)
    assert 0 < entry.learning_rate <= 0.1
    optimizer = make_optimizer(make_model(), Optimization(entry.learning_rate, 0.01, name), 10)
    assert type(optimizer).__name__ == entry.keras_name
    for setting, value in entry.settings:
        assert getattr(optimizer, setting) == value


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        find_optimizer("adamx")
    assert str(error.value) == (
        "There is no optimizer 'adamx'. Did you mean: adam, nadam, adamw? "
        "There are: adamw, adam, nadam, rmsprop, lion, lamb, adafactor, sgd."
    )
