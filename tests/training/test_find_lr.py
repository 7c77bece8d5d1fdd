import keras
import numpy as np
import pytest

from tests.training.runs import STEPS, batches, make_model
from toolkit.training.find_lr import DIVERGED, FALLEN, RangeTest, range_test, smooth, suggest
from toolkit.training.fine_tuning import compile_model
from toolkit.training.losses import make_loss
from toolkit.training.optimization import Optimization


def compiled(learning_rate=1e-3, **options):
    wanted = Optimization(learning_rate, 0.01, **options)
    return compile_model(make_model(), wanted, 50, validate_alike=True)


def train(model, epochs):
    steps = STEPS * len(epochs)
    model.fit(batches(epochs), steps_per_epoch=steps, shuffle=False, verbose=0)


def everything(model):
    """All numbers of a model: weights, BatchNorm's statistics, generators, the optimizer's."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(each)) for each in variables]


def test_the_model_is_left_as_it_was_in_the_middle_of_a_training():
    model, twin = compiled(), compiled()
    for each in (model, twin):
        train(each, range(1))
    before, random = everything(model), np.random.get_state()[1].copy()
    schedule = model.optimizer._learning_rate

    test = range_test(model, lambda: batches(range(4)), steps=20, highest=1e3)

    assert len(test.losses) > 10
    for one, two in zip(before, everything(model), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], random)
    assert model.optimizer._learning_rate is schedule
    for each in (model, twin):  # And it trains on as its twin does.
        train(each, range(1, 3))
    for one, two in zip(everything(model), everything(twin), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_learning_rate_that_is_a_variable_comes_back():
    model = make_model()
    model.compile(keras.optimizers.SGD(0.25), keras.losses.SparseCategoricalCrossentropy(True))
    range_test(model, lambda: batches(range(2)), steps=5)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == 0.25
    model.optimizer.learning_rate = 0.5
    names = [variable.path for variable in model.optimizer.variables]
    assert len(names) == len(set(names))


def test_it_trains_at_rising_rates_until_the_loss_diverges():
    test = range_test(compiled(), lambda: batches(range(20)), steps=100, highest=1e6)
    assert test.diverged and len(test.losses) < 100
    assert len(test.losses) == len(test.learning_rates) == len(test.smoothed)
    assert test.learning_rates[0] == pytest.approx(1e-7)
    ratios = np.divide(test.learning_rates[1:], test.learning_rates[:-1])
    np.testing.assert_allclose(ratios, (1e6 / 1e-7) ** (1 / 99), rtol=1e-4)
    assert test.smoothed[-1] > DIVERGED * min(test.smoothed) or not np.isfinite(test.losses[-1])
    # With rates too low to learn anything, only dropout tells a loss from the start's.
    assert test.smoothed[20] == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("options", [{"loss": "focal"}, {"label_smoothing": 0.3}], ids=str)
def test_losses_are_compared_with_what_is_minimized_at_the_start(options):
    wanted = {"loss": "cross-entropy", "label_smoothing": 0.0, **options}
    minimized = make_loss(wanted["loss"], wanted["label_smoothing"])
    model = compiled(**options)
    expected = [
        keras.ops.convert_to_numpy(minimized(labels, model(images))).mean()
        for images, labels in batches(range(2))
    ]
    test = range_test(model, lambda: batches(range(2)), steps=10)
    np.testing.assert_allclose(test.start_losses, expected, rtol=1e-5)


def test_where_the_loss_is_no_number_it_stops():
    def broken():
        for step, (images, labels) in enumerate(batches(range(4))):
            yield images, labels, np.full(len(labels), np.nan if step == 12 else 1, np.float32)

    test = range_test(compiled(), broken, steps=20)
    assert test.diverged and len(test.losses) == 12


def test_the_running_mean_has_no_bias_to_its_start():
    assert smooth([3.0, 3.0, 3.0]) == pytest.approx([3, 3, 3])
    assert smooth([1.0, 2.0], share=0.5) == pytest.approx([1, 5 / 3])


def curve(smoothed, diverged=False):
    rates = list(np.geomspace(1e-7, 10, 100))[: len(smoothed)]
    return RangeTest(rates, smoothed, [1.0] * len(smoothed), list(smoothed), diverged)


def test_where_the_loss_has_fallen_it_suggests_a_tenth_of_where_it_is_lowest():
    fallen = np.concatenate([np.ones(50), np.linspace(1, FALLEN / 2, 20), np.linspace(0.4, 2, 10)])
    test = curve(fallen, diverged=True)
    found = suggest(test)
    assert found.value == pytest.approx(test.learning_rates[69] / 10)
    assert found.why == f"a tenth of {test.learning_rates[69]:.2g}, at the lowest loss"


def test_where_it_has_not_it_suggests_a_third_of_where_it_diverges():
    noise = np.random.default_rng(0).normal(1, 0.03, 50)
    test = curve(np.concatenate([noise, np.geomspace(1, 4, 10)]), diverged=True)
    found = suggest(test)
    assert found.value == pytest.approx(test.learning_rates[-1] / 3)
    assert "where the loss diverges; no rate lowered it" in found.why


def test_a_loss_that_diverges_at_once_gets_the_lowest_rate():
    found = suggest(curve([1.0, 5.0], diverged=True))
    assert found.value == 1e-7 and "within 2 steps" in found.why
