from types import SimpleNamespace

import keras
import numpy as np
import pytest

from toolkit import backbones
from toolkit.backbones.standardize import (
    CHANNEL_MEAN,
    CHANNEL_MEAN_STD,
    MEAN,
    MEAN_IMAGE,
    NORMALIZATIONS,
    PCA,
    STD,
    ZCA,
    check_normalization,
    standardize,
)
from toolkit.errors import OptionError

OWN = NORMALIZATIONS[1:]


@pytest.fixture(scope="module")
def pixels():
    """Dark images with colours that depend on each other: float32 [64, 6, 8, 3]."""
    random = np.random.default_rng(0)
    mixed = random.normal(0, 1, (64, 6, 8, 3)) @ np.array([[30, 20, 9], [0, 15, 5], [0, 0, 8.0]])
    bright = np.linspace(40, 90, 48).reshape(6, 8, 1)  # To the lower right.
    return np.clip(mixed + bright, 0, 255).astype(np.float32)


@pytest.fixture(scope="module")
def statistics(pixels):
    flat = pixels.reshape(-1, 3).astype(np.float64)
    return SimpleNamespace(
        mean=flat.mean(axis=0),
        covariance=np.cov(flat.T, bias=True),
        mean_image=pixels.mean(axis=0, dtype=np.float64),
    )


def make(name, statistics, pixels):
    inputs = keras.Input(pixels.shape[1:])
    return keras.Model(inputs, standardize(name, statistics, inputs))


def moments(values):
    flat = values.reshape(-1, 3).astype(np.float64)
    return flat.mean(axis=0), np.cov(flat.T, bias=True)


@pytest.mark.parametrize("name", OWN)
def test_the_mean_becomes_imagenets(name, statistics, pixels):
    values = make(name, statistics, pixels).predict(pixels, verbose=0)
    assert values.dtype == np.float32
    np.testing.assert_allclose(moments(values)[0], MEAN, atol=1e-2)


def test_means_alone_leave_differences_as_they_are(statistics, pixels):
    values = make(CHANNEL_MEAN, statistics, pixels).predict(pixels, verbose=0)
    np.testing.assert_allclose(values, pixels - statistics.mean + MEAN, atol=1e-3)


def test_the_mean_image_is_taken_away_pixel_by_pixel(statistics, pixels):
    values = make(MEAN_IMAGE, statistics, pixels).predict(pixels, verbose=0)
    np.testing.assert_allclose(values, pixels - statistics.mean_image + MEAN, atol=1e-3)
    np.testing.assert_allclose(values.mean(axis=0), np.broadcast_to(MEAN, (6, 8, 3)), atol=1e-2)


def test_deviations_become_imagenets(statistics, pixels):
    values = make(CHANNEL_MEAN_STD, statistics, pixels).predict(pixels, verbose=0)
    deviation = np.sqrt(np.diag(statistics.covariance))
    expected = (pixels - statistics.mean) / deviation * STD + MEAN
    np.testing.assert_allclose(values, expected, atol=0.3)  # SMALLEST_VARIANCE makes them less.


@pytest.mark.parametrize("name", [PCA, ZCA])
def test_whitened_channels_do_not_depend_on_each_other(name, statistics, pixels):
    values = make(name, statistics, pixels).predict(pixels, verbose=0)
    _, covariance = moments(values)
    np.testing.assert_allclose(covariance / np.outer(STD, STD), np.eye(3), atol=0.03)


def test_pca_and_zca_are_those_of_the_books(statistics, pixels):
    centred = pixels.reshape(-1, 3) - statistics.mean
    left, _, components = np.linalg.svd(centred, full_matrices=False)
    scores = left * np.sqrt(len(centred))  # Of unit variance, the largest component first.
    pca = make(PCA, statistics, pixels).predict(pixels, verbose=0).reshape(-1, 3)
    own = (pca - MEAN) / STD
    signs = np.sign((own * scores).sum(axis=0))
    np.testing.assert_allclose(own, scores * signs, atol=0.05)
    zca = make(ZCA, statistics, pixels).predict(pixels, verbose=0).reshape(-1, 3)
    np.testing.assert_allclose((zca - MEAN) / STD, scores @ components, atol=0.05)


def test_zca_stays_near_the_colours_and_pca_does_not(statistics, pixels):
    def resemblance(name):
        values = make(name, statistics, pixels).predict(pixels, verbose=0)
        pairs = zip(np.rollaxis(values, 3), np.rollaxis(pixels, 3), strict=True)
        return min(np.corrcoef(one.ravel(), two.ravel())[0, 1] for one, two in pairs)

    assert resemblance(ZCA) > 0.5 > resemblance(PCA)


def test_grey_images_are_not_blown_up(pixels):
    grey = np.repeat(pixels[..., :1], 3, axis=-1)
    mean, covariance = moments(grey)
    image = grey.mean(axis=0, dtype=np.float64)
    own = SimpleNamespace(mean=mean, covariance=covariance, mean_image=image)
    for name in OWN:
        values = make(name, own, grey).predict(grey, verbose=0)
        assert np.isfinite(values).all() and np.abs(values).max() < 1500


@pytest.mark.parametrize("name", [CHANNEL_MEAN_STD, MEAN_IMAGE, ZCA])
def test_a_network_keeps_its_statistics_when_it_is_saved(name, statistics, pixels, tmp_path):
    def load():
        return backbones.load(
            "mobilenetv3small",
            weights="random",
            image_size=32,
            standardize=lambda inputs: standardize(name, own, inputs),
        )

    image = np.full((32, 32, 3), 60.0)
    own = SimpleNamespace(mean=statistics.mean, covariance=statistics.covariance, mean_image=image)
    keras.utils.set_random_seed(0)
    loaded = load()
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = loaded.model.predict(images, verbose=0)

    loaded.model.save(tmp_path / "model.keras")
    keras.backend.clear_session()
    again = keras.models.load_model(tmp_path / "model.keras")

    np.testing.assert_array_equal(again.predict(images, verbose=0), expected)
    stages = backbones.stage_layers(again, loaded.backbone)
    assert sum(map(len, stages.values())) == len(again.layers)
    assert not any(weight.trainable and "matmul" in weight.path for weight in again.weights)


def test_an_unknown_normalization_is_refused():
    for name in NORMALIZATIONS:
        check_normalization(name)
    with pytest.raises(OptionError, match="--normalize must be one of backbone, channel-mean"):
        check_normalization("imagenet")
