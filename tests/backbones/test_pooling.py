"""Features out of any layer, pooled."""

import keras
import numpy as np
import pytest

from toolkit import backbones
from toolkit.backbones.pooling import check_pooling, network_up_to, with_pooling
from toolkit.errors import UnknownNameError


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return backbones.load("efficientnet-lite0", weights="random", image_size=32)


IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)


def outputs_of(model, name):
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(IMAGES))


def test_avg_is_the_network_as_it_is(network):
    assert with_pooling(network.model, "avg") is network.model


@pytest.mark.parametrize("pooling", ["max", "avg+max"])
def test_the_last_feature_map_is_pooled_as_asked(network, pooling):
    maps = outputs_of(network.model, "top_activation")
    parts = {"max": [maps.max((1, 2))], "avg+max": [maps.mean((1, 2)), maps.max((1, 2))]}
    pooled = with_pooling(network.model, pooling)
    expected = np.concatenate(parts[pooling], axis=1)
    np.testing.assert_allclose(pooled(IMAGES), expected, rtol=1e-5, atol=1e-7)
    assert list(backbones.stage_layers(pooled, network.backbone)) == [
        stage.name for stage in network.backbone.stages
    ]


@pytest.mark.parametrize("name", ["mobilenetv3small", "resnet50"])
def test_other_networks_end_in_a_feature_map_as_well(name):
    loaded = backbones.load(name, weights="random", image_size=32, pooling="avg+max")
    assert loaded.model.output_shape == (None, 2 * loaded.backbone.feature_width)


def test_a_stage_stands_for_its_last_layer(network):
    stage = backbones.stage_layers(network.model, network.backbone)["block3"]
    by_stage = network_up_to(network.model, network.backbone, "block3", "max")
    by_layer = network_up_to(network.model, network.backbone, stage[-1].name, "max")
    expected = outputs_of(network.model, stage[-1].name).max((1, 2))
    np.testing.assert_allclose(by_stage(IMAGES), expected, rtol=1e-5)
    np.testing.assert_array_equal(by_stage(IMAGES), by_layer(IMAGES))
    assert len(by_stage.layers) < len(network.model.layers) / 2, "what is above is not computed"


def test_the_last_stage_gives_the_networks_features(network):
    last = network.backbone.stages[-1].name
    whole = network_up_to(network.model, network.backbone, last)
    assert whole is network.model
    assert network_up_to(network.model, network.backbone, "avg_pool", "max").output_shape[1] == 1280


def test_the_nearest_names_are_offered(network):
    with pytest.raises(UnknownNameError) as error:
        network_up_to(network.model, network.backbone, "blok5")
    assert "There is no layer 'blok5'. Did you mean: block5" in str(error.value)
    assert "`toolkit backbones efficientnet-lite0` lists the stages." in str(error.value)
    with pytest.raises(UnknownNameError, match="Did you mean: avg"):
        check_pooling("average")
