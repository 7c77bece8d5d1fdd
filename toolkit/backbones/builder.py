"""A pretrained network by its name: Keras model, normalization inside, weights loaded."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from toolkit.backbones.entry import Backbone
from toolkit.backbones.normalization import fill_normalization, normalize
from toolkit.backbones.pooling import AVG, network_up_to, with_pooling
from toolkit.backbones.registry import find
from toolkit.backbones.weights import WeightsOrigin, load_weights
from toolkit.errors import OptionError

Standardize = Callable[[keras.KerasTensor], keras.KerasTensor]
"""RGB from 0 to 255, [N, H, W, 3], to as many numbers with the mean and deviation of such."""


@dataclass(frozen=True)
class LoadedBackbone:
    """A network with its weights.

    Attributes:
        model: The Keras model.
        backbone: Its entry in the registry.
        weights_origin: Where the weights came from.
    """

    model: keras.Model
    backbone: Backbone
    weights_origin: WeightsOrigin


def build(
    name: str,
    *,
    weights: str | Path = "imagenet",
    classification_layer: bool = False,
    image_size: int | tuple[int, int] | None = None,
    mirror: str | None = None,
) -> keras.Model:
    """A pretrained network that takes plain pixels.

    Args:
        name: A network of the registry, e.g. "resnet50" or "efficientnet-lite0".
        weights: "imagenet", "random" (from Keras' seed), or the path of a file of weights.
        classification_layer: Whether to end in the 1,000 ImageNet classes, not in features.
        image_size: Height and width in pixels, or one number for both; by default what the
            network was trained on, which the classification layer asks for.
        mirror: Base URL of a web server that has the published files of weights.

    Returns:
        A functional model of built-in Keras layers. It takes RGB pixels from 0 to 255, float32
        [N, H, W, 3], and gives globally average-pooled features, float32 [N, feature_width], or
        with `classification_layer` the ImageNet probabilities, float32 [N, 1000].

    Raises:
        UnknownNameError: There is no network of this name.
        OptionError: `image_size` is too small for the network, or not what its classification
            layer needs; or `weights` is no file.
        ToolkitError: The weights can't be had or read (see `load_weights`).

    Example:
        >>> model = build("efficientnet-lite0", image_size=96)
        >>> model.input_shape, model.output_shape
        ((None, 96, 96, 3), (None, 1280))
    """
    return load(
        name,
        weights=weights,
        classification_layer=classification_layer,
        image_size=image_size,
        mirror=mirror,
    ).model


def load(
    name: str,
    *,
    weights: str | Path = "imagenet",
    classification_layer: bool = False,
    image_size: int | tuple[int, int] | None = None,
    mirror: str | None = None,
    standardize: Standardize | None = None,
    pooling: str = AVG,
    layer: str | None = None,
) -> LoadedBackbone:
    """As `build`, with the registry's entry and where the weights came from.

    Args:
        name: As `build`'s, and so are those that follow.
        weights: See `build`.
        classification_layer: See `build`.
        image_size: See `build`.
        mirror: See `build`.
        standardize: What is done to the pixels before the network's own normalization.
        pooling: Of the last feature map, see `with_pooling`; not with a classification layer.
        layer: The network ends after this one, see `network_up_to`.
    """
    backbone = find(name)
    height, width = input_shape(backbone, image_size, classification_layer)
    pixels = keras.Input((height, width, 3), name="pixels")
    standardized = pixels if standardize is None else standardize(pixels)
    outputs = _outputs(backbone, standardized, classification_layer)
    model = keras.Model(pixels, outputs, name=backbone.name)
    if backbone.normalization == "efficientnet":
        fill_normalization(model)
    origin = load_weights(
        model, backbone, weights, classification_layer=classification_layer, mirror=mirror
    )
    if layer is None:
        return LoadedBackbone(with_pooling(model, pooling), backbone, origin)
    return LoadedBackbone(network_up_to(model, backbone, layer, pooling), backbone, origin)


def _outputs(
    backbone: Backbone, pixels: keras.KerasTensor, classification_layer: bool
) -> keras.KerasTensor:
    inputs = normalize(pixels, backbone.normalization)
    constructor = _import(backbone.constructor)
    if not backbone.constructor.startswith("keras."):
        return constructor(inputs, include_top=classification_layer)
    network = constructor(
        include_top=classification_layer,
        weights=None,
        input_tensor=inputs,
        input_shape=pixels.shape[1:],
        pooling="avg",
    )
    return network.outputs[0]


def _import(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def input_shape(
    backbone: Backbone,
    image_size: int | tuple[int, int] | None = None,
    classification_layer: bool = False,
) -> tuple[int, int]:
    """Height and width in pixels of a network's input.

    Args:
        backbone: Its entry in the registry.
        image_size: What is asked for; by default its own.
        classification_layer: Whether it has its ImageNet layer, which needs its own size.

    Raises:
        OptionError: The size is not one that the network can have.
    """
    own = backbone.input_size
    size = own if image_size is None else image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    if min(height, width) < backbone.min_size:
        rule = f"at least {backbone.min_size} for {backbone.name}"
        raise OptionError("image_size", rule, image_size)
    if classification_layer and (height, width) != (own, own):
        rule = f"{own} for {backbone.name} with its classification layer"
        raise OptionError("image_size", rule, image_size)
    return height, width
