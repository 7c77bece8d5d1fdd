import json

import keras
import numpy as np
import pytest

from toolkit.training.discriminative import Rate, discriminative

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KINDS = [getattr(keras.optimizers, name) for name in ("AdamW", "SGD", "Lion", "RMSprop", "Muon")]
DECAY = {"weight_decay": 0.1}


def trajectory(make, steps=6, variables=2):
    """What variables become when an optimizer of AdamW's kind sees the same random gradients."""
    random = np.random.default_rng(0)
    values = [
        keras.Variable(random.normal(size=(3, 2)).astype("float32")) for _ in range(variables)
    ]
    optimizer, found = make(), []
    optimizer.build(values)
    for _ in range(steps):
        gradients = [random.normal(size=(3, 2)).astype("float32") for _ in values]
        optimizer.apply([keras.ops.convert_to_tensor(each) for each in gradients], values)
        found.append([np.array(value) for value in values])
    return np.array(found).transpose(1, 0, 2, 3), optimizer


@pytest.mark.parametrize("kind", KINDS)
def test_each_variable_is_trained_as_by_an_optimizer_of_its_rate(kind):
    rates = [Rate(), Rate(0.3)]
    (one, two), _ = trajectory(lambda: discriminative(kind)(0.01, rates=rates, **DECAY))

    (whole, _), _ = trajectory(lambda: kind(0.01, **DECAY))
    np.testing.assert_array_equal(one, whole)
    (_, slower), _ = trajectory(lambda: kind(0.003, **DECAY))
    np.testing.assert_allclose(two, slower, rtol=1e-5)
    assert np.abs(two - whole).max() > 1e-3, "or this would show nothing"


class Late(keras.optimizers.schedules.LearningRateSchedule):
    """Nothing before a step, and then a rate."""

    def __init__(self, rate, step):
        self.rate, self.step = rate, step

    def __call__(self, step):
        return keras.ops.where(step >= self.step, self.rate, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_stays_as_it_is_until_its_first_step(kind):
    rates = [Rate(), Rate(0.5, 3)]
    (one, two), _ = trajectory(lambda: discriminative(kind)(0.01, rates=rates, **DECAY))

    (whole, _), _ = trajectory(lambda: kind(0.01, **DECAY))
    np.testing.assert_array_equal(one, whole)
    assert (two[:3] == two[0]).all()
    assert not np.array_equal(two[3], two[2])
    (_, late), _ = trajectory(lambda: kind(Late(0.005, 3), **DECAY))
    np.testing.assert_allclose(two, late, rtol=1e-5)


def test_the_first_steps_of_a_late_variable_are_no_larger_than_others():
    rates = [Rate(), Rate(1, 50)]
    kind = discriminative(keras.optimizers.AdamW)
    (one, two), _ = trajectory(lambda: kind(0.01, weight_decay=0.0, rates=rates), steps=60)

    largest = [np.abs(np.diff(each[49:], axis=0)).max() for each in (one, two)]
    assert largest[1] < 1.5 * largest[0]


def test_it_is_read_back_as_it_was_written():
    rates = [Rate(), Rate(0.3, 2)]
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 5.0)
    kind = discriminative(keras.optimizers.AdamW)
    found, optimizer = trajectory(lambda: kind(schedule, rates=rates, weight_decay=0.1))
    written = json.loads(json.dumps(keras.saving.serialize_keras_object(optimizer)))

    read = keras.saving.deserialize_keras_object(written)

    assert type(read) is kind and read.get_config() == optimizer.get_config()
    again, _ = trajectory(lambda: read)
    np.testing.assert_array_equal(again, found)


def test_the_model_of_a_saved_one_goes_on(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    rates = [Rate(0.5, 2), Rate(0.5, 2), Rate(), Rate()]
    model.compile(discriminative(keras.optimizers.Adam)(0.01, rates=rates), "mse")
    x, y = np.ones([2, 4], np.float32), np.zeros([2, 1], np.float32)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")

    for each in (model, other):
        each.train_on_batch(x, y)
        each.train_on_batch(x, y)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_each_variable_needs_a_rate():
    with pytest.raises(ValueError, match="1 rates, and 2 variables"):
        trajectory(lambda: discriminative(keras.optimizers.SGD)(0.1, rates=[Rate()]))


def test_a_class_is_made_once():
    assert discriminative(keras.optimizers.SGD) is discriminative(keras.optimizers.SGD)
