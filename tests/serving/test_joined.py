import keras
import numpy as np
import pytest

from tests.bundles import PREPARATION, make_model
from toolkit.data.prepare import Preparation
from toolkit.ensembles.average import AVERAGES
from toolkit.ensembles.averaging import Averaging
from toolkit.serving.joined import Part, join_models

LARGE = Preparation(12, 10, 10**6)


def images(preparation, count=6):
    shape = (count, preparation.height, preparation.width, 3)
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def make_parts(weights=(0.5, 0.3, 0.2)):
    each = [
        (make_model(3, 1), PREPARATION, [0, 1, 2]),
        (make_model(3, 2, LARGE), LARGE, [0, 1, 2]),
        (make_model(3, 3), PREPARATION, [2, 0, 1]),
    ]
    return [
        Part(model, [preparation], np.array(order), weight)
        for (model, preparation, order), weight in zip(each, weights, strict=True)
    ]


@pytest.mark.parametrize(
    ("average", "temperature"), [*((name, 1.0) for name in AVERAGES), ("arithmetic", 0.6)]
)
def test_a_joined_model_gives_the_average_also_when_it_is_loaded_again(
    average, temperature, tmp_path
):
    parts = make_parts()
    model, preparations = join_models(parts, average, temperature)
    assert preparations == (PREPARATION, LARGE)
    batch = [images(PREPARATION), images(LARGE)]
    own = [batch[0], batch[1], batch[0]]
    each = [
        np.asarray(part.model(pixels))[:, part.order]
        for part, pixels in zip(parts, own, strict=True)
    ]
    wanted = Averaging(average, np.array([0.5, 0.3, 0.2]), temperature)(each)
    np.testing.assert_allclose(model(batch), wanted, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again(batch), wanted, atol=1e-6)


def test_members_that_exclude_each_other_give_no_nan():
    model, _ = join_models(make_parts()[:2], "geometric")
    given = np.asarray(model([1e4 * images(PREPARATION), 1e4 * images(LARGE)]))
    assert np.isfinite(given).all()
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-6)


def test_one_preparation_is_one_input():
    parts = make_parts()
    model, preparations = join_models([parts[0], parts[2]], "arithmetic")
    assert preparations == (PREPARATION,)
    assert model(images(PREPARATION)).shape == (6, 3)


def test_an_ensemble_may_be_a_member():
    inner, preparations = join_models(make_parts()[:2], "arithmetic")
    own = make_parts()[2]
    model, distinct = join_models(
        [Part(inner, preparations, np.array([0, 1, 2]), 0.6), own], "arithmetic"
    )
    assert distinct == (PREPARATION, LARGE)
    batch = [images(PREPARATION), images(LARGE)]
    wanted = 0.6 * np.asarray(inner(batch)) + 0.2 * np.asarray(own.model(batch[0]))[:, own.order]
    np.testing.assert_allclose(model(batch), wanted, atol=1e-6)
