"""What every network of the registry keeps, whatever its family."""

import itertools
import re

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from toolkit.backbones import load, stage_layers
from toolkit.backbones.registry import BACKBONES

_MEAN = np.array([0.485, 0.456, 0.406])
_STD = np.array([0.229, 0.224, 0.225])
# Where Keras' network has its normalization inside, `preprocess_input` does nothing; these are
# the normalizations of the papers' code.
_INSIDE = {
    "convnext": lambda x: (x / 255 - _MEAN) / _STD,
    "efficientnet-lite": lambda x: (x - 127) / 128,
    "efficientnetb": lambda x: (x / 255 - _MEAN) / _STD,
    "efficientnetv2b": lambda x: (x / 255 - _MEAN) / _STD,
    "efficientnetv2": lambda x: x / 128 - 1,
    "mobilenetv3": lambda x: x / 127.5 - 1,
}
_MODULES = {
    "densenet": keras.applications.densenet,
    "inceptionresnetv2": keras.applications.inception_resnet_v2,
    "inceptionv3": keras.applications.inception_v3,
    "mobilenetv2": keras.applications.mobilenet_v2,
    "mobilenet": keras.applications.mobilenet,
    "nasnet": keras.applications.nasnet,
    "resnet": keras.applications.resnet,
    "vgg16": keras.applications.vgg16,
    "vgg19": keras.applications.vgg19,
    "xception": keras.applications.xception,
}


def _constructors():
    """Every network of the installed Keras."""
    return {name for name in dir(keras.applications) if re.match("[A-Z]", name)}


def _installed(backbone):
    name = backbone.constructor.removeprefix("keras.applications.")
    return name == backbone.constructor or name in _constructors()


def _without_weights():
    """In it, networks are built without memory for their weights, in half the time."""
    return keras.StatelessScope(initialize_variables=False)


@pytest.fixture(scope="module", params=BACKBONES)
def loaded(request):
    """The network for the smallest images that it takes; no test here looks at its weights."""
    backbone = BACKBONES[request.param]
    if not _installed(backbone):
        pytest.skip(f"this Keras has no {backbone.constructor}")
    with _without_weights():
        loaded = load(request.param, weights="random", image_size=backbone.min_size)
    yield loaded
    keras.backend.clear_session()


def test_every_network_of_keras_is_in_the_registry():
    known = {backbone.constructor for backbone in BACKBONES.values()}
    assert {f"keras.applications.{name}" for name in _constructors()} <= known


def test_takes_pixels_and_gives_features_of_the_stated_width(loaded):
    model, backbone = loaded.model, loaded.backbone
    size = backbone.min_size
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, backbone.feature_width)
    assert model.input.dtype == model.output.dtype == "float32"


def test_has_the_stated_number_of_parameters(loaded):
    assert loaded.model.count_params() == loaded.backbone.parameters


def test_can_be_saved_by_its_names(loaded):
    names = [layer.name for layer in loaded.model.layers]
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("_")]


def test_is_flat(loaded):
    nested = [layer for layer in loaded.model.layers if isinstance(layer, keras.Model)]
    if loaded.backbone.name.startswith("convnext"):
        # Keras' own stem and downsampling are two layers in a Sequential.
        assert all(isinstance(layer, keras.Sequential) for layer in nested)
    else:
        assert nested == []


def test_stages_cover_all_layers_in_order(loaded):
    stages = stage_layers(loaded.model, loaded.backbone)

    assert list(stages) == [stage.name for stage in loaded.backbone.stages]
    assert list(itertools.chain(*stages.values())) == loaded.model.layers
    assert all(_weighted(layers) for layers in stages.values())


def test_a_layer_with_weights_is_in_the_stage_that_it_is_named_after(loaded):
    stages = stage_layers(loaded.model, loaded.backbone)
    # "conv3" is the stage of conv3_block1_1_conv, and "block3" that of block3b_dwconv.
    pattern = re.compile(rf"(?:convnext_[a-z]+_)?({'|'.join(stages)})([a-z]?_.*)?")
    for stage, layers in stages.items():
        matches = [pattern.fullmatch(layer.name) for layer in _weighted(layers)]
        assert {match[1] for match in matches if match} <= {stage}


def test_unfreezes_a_fair_part_by_default(loaded):
    stages = list(stage_layers(loaded.model, loaded.backbone).values())
    unfrozen = list(itertools.chain(*stages[-loaded.backbone.unfreeze :]))
    assert len(unfrozen) < 2 / 3 * len(loaded.model.layers)
    assert sum(layer.count_params() for layer in unfrozen) > 1 / 4 * loaded.backbone.parameters


def test_normalization_is_that_of_the_weights(loaded):
    name, size = loaded.backbone.name, loaded.backbone.min_size
    pixels = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255

    normalized = _normalizing_part(loaded.model)(pixels)

    expected = _normalized(name, pixels)
    np.testing.assert_allclose(normalized, expected, rtol=0, atol=1e-5)


def _weighted(layers):
    return [layer for layer in layers if layer.weights]


def _normalizing_part(model):
    """From the pixels to what enters the first layer that does not normalize."""
    kinds = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization)
    *_, last = itertools.takewhile(lambda layer: isinstance(layer, kinds), model.layers)
    return keras.Model(model.input, last.output)


def _normalized(name, pixels):
    inside = [prefix for prefix in _INSIDE if name.startswith(prefix)]
    if inside:
        return _INSIDE[max(inside, key=len)](pixels.astype("float64"))
    if re.fullmatch(r"resnet\d+v2", name):
        return keras.applications.resnet_v2.preprocess_input(pixels.copy())
    module = _MODULES[max((key for key in _MODULES if name.startswith(key)), key=len)]
    return module.preprocess_input(pixels.copy())


class _RequestedError(Exception):
    """Keras asked for a file."""


@pytest.mark.parametrize(
    "name",
    [
        "convnexttiny",
        "densenet121",
        "efficientnetb0",
        "efficientnetv2b0",
        "efficientnetv2s",
        "inceptionv3",
        "mobilenet",
        "mobilenetv2",
        "mobilenetv3small",
        "nasnetmobile",
        "resnet50",
        "resnet50v2",
        "vgg16",
        "xception",
    ],
)
@pytest.mark.parametrize("classification_layer", [False, True])
def test_weights_are_those_that_keras_asks_for(name, classification_layer, monkeypatch):
    def get_file(fname, origin, cache_subdir, file_hash=None):
        raise _RequestedError(fname, origin, file_hash)

    monkeypatch.setattr(file_utils, "get_file", get_file)
    backbone = BACKBONES[name]
    constructor = getattr(keras.applications, backbone.constructor.rpartition(".")[2])
    size = (backbone.input_size, backbone.input_size, 3)

    with pytest.raises(_RequestedError) as request, _without_weights():
        constructor(include_top=classification_layer, input_shape=size)

    file = backbone.weights_top if classification_layer else backbone.weights_notop
    assert request.value.args == (file.filename, file.url, file.hash)
    keras.backend.clear_session()
