"""EfficientNet-Lite0, 1 and 2 in Keras, and their published weights.

EfficientNet without squeeze-and-excitation and with ReLU6, made for phones:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. Layers have the
names of Keras' EfficientNet.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers


class _Group(NamedTuple):
    """Blocks of one width; only the first has the strides."""

    repeats: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
_CLASSES = 1000
_INITIALIZER = keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def EfficientNetLite0(x: keras.KerasTensor, *, include_top: bool = False) -> keras.KerasTensor:
    """EfficientNet-Lite0: ImageNet at 224 pixels.

    Args:
        x: Normalized images, [N, H, W, 3].
        include_top: Whether to end in the ImageNet classes.

    Returns:
        Pooled features [N, 1280], or with `include_top` probabilities [N, 1000].
    """
    return _efficientnet_lite(x, width=1.0, depth=1.0, include_top=include_top)


def EfficientNetLite1(x: keras.KerasTensor, *, include_top: bool = False) -> keras.KerasTensor:
    """EfficientNet-Lite1: deeper, 240 pixels; see `EfficientNetLite0`."""
    return _efficientnet_lite(x, width=1.0, depth=1.1, include_top=include_top)


def EfficientNetLite2(x: keras.KerasTensor, *, include_top: bool = False) -> keras.KerasTensor:
    """EfficientNet-Lite2: deeper and wider, 260 pixels; see `EfficientNetLite0`."""
    return _efficientnet_lite(x, width=1.1, depth=1.2, include_top=include_top)


def assign_torch_weights(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Give the published PyTorch weights to an EfficientNet-Lite.

    Args:
        model: The network, with or without its classification layer.
        tensors: Arrays by their PyTorch names, e.g. "_conv_stem.weight". The classification
            layer's may be there without a layer that takes them.

    Raises:
        ValueError: A tensor is missing, has another shape, or belongs to no layer.
    """
    names = _torch_names(model)
    left = {name for name in tensors if not name.endswith("num_batches_tracked")}
    for layer_name, torch_name in names.items():
        layer = model.get_layer(layer_name)
        expected = [f"{torch_name}.{part}" for part in _torch_parts(layer)]
        if missing := [name for name in expected if name not in tensors]:
            raise ValueError(f"{', '.join(missing)}: not among the tensors for {model.name}.")
        layer.set_weights([_to_keras(layer, tensors[name]) for name in expected])
        left.difference_update(expected)
    if "_fc" not in names.values():
        left -= {"_fc.weight", "_fc.bias"}
    if left:
        raise ValueError(f"{', '.join(sorted(left))}: no layer of {model.name} takes them.")


def _efficientnet_lite(
    x: keras.KerasTensor, *, width: float, depth: float, include_top: bool
) -> keras.KerasTensor:
    x = _conv(x, 32, 3, "stem_conv", strides=2)
    x = _relu6(_batch_norm(x, "stem_bn"), "stem_activation")
    for number, group in enumerate(_GROUPS, start=1):
        # The first and the last group keep their length; stem and top keep their width.
        fixed = number in (1, len(_GROUPS))
        repeats = group.repeats if fixed else math.ceil(group.repeats * depth)
        group = group._replace(filters=_round_filters(group.filters * width))
        for i in range(repeats):
            x = _block(x, group, f"block{number}{chr(ord('a') + i)}_", first=i == 0)
    x = _conv(x, 1280, 1, "top_conv")
    x = _relu6(_batch_norm(x, "top_bn"), "top_activation")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return layers.Dense(_CLASSES, "softmax", name="predictions")(x) if include_top else x


def _block(x: keras.KerasTensor, group: _Group, name: str, *, first: bool) -> keras.KerasTensor:
    """An inverted residual block: expand, depthwise convolution, project."""
    inputs = x
    if group.expansion != 1:
        x = _conv(x, x.shape[-1] * group.expansion, 1, f"{name}expand_conv")
        x = _relu6(_batch_norm(x, f"{name}expand_bn"), f"{name}expand_activation")
    x = layers.DepthwiseConv2D(
        group.kernel_size,
        group.strides if first else 1,
        padding="same",
        use_bias=False,
        depthwise_initializer=_INITIALIZER,
        name=f"{name}dwconv",
    )(x)
    x = _relu6(_batch_norm(x, f"{name}bn"), f"{name}activation")
    x = _conv(x, group.filters, 1, f"{name}project_conv")
    x = _batch_norm(x, f"{name}project_bn")
    return x if first else layers.Add(name=f"{name}add")([x, inputs])


def _conv(
    x: keras.KerasTensor, filters: int, kernel_size: int, name: str, strides: int = 1
) -> keras.KerasTensor:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_INITIALIZER,
        name=name,
    )(x)


def _batch_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=name)(x)


def _round_filters(filters: float) -> int:
    """To the nearest multiple of 8, but never down by more than a tenth."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


_TORCH_NAMES = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "predictions": "_fc",
}
_TORCH_BLOCK_NAMES = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


def _torch_names(model: keras.Model) -> dict[str, str]:
    """The PyTorch name of each layer that has weights."""
    names: dict[str, str] = {}
    blocks: dict[str, int] = {}
    for layer in model.layers:
        if match := re.fullmatch(r"(block\d[a-z])_(\w+)", layer.name):
            # PyTorch counts the blocks through all groups.
            number = blocks.setdefault(match[1], len(blocks))
            if match[2] in _TORCH_BLOCK_NAMES:
                names[layer.name] = f"_blocks.{number}.{_TORCH_BLOCK_NAMES[match[2]]}"
        elif layer.name in _TORCH_NAMES:
            names[layer.name] = _TORCH_NAMES[layer.name]
    return names


def _torch_parts(layer: keras.layers.Layer) -> tuple[str, ...]:
    """What PyTorch calls a layer's variables, in the order that Keras has them."""
    if isinstance(layer, layers.BatchNormalization):
        return "weight", "bias", "running_mean", "running_var"
    return ("weight", "bias") if layer.use_bias else ("weight",)


def _to_keras(layer: keras.layers.Layer, tensor: np.ndarray) -> np.ndarray:
    """From PyTorch's order of axes to Keras'."""
    if isinstance(layer, layers.DepthwiseConv2D):  # [channels, 1, height, width]
        return tensor.transpose(2, 3, 0, 1)
    if isinstance(layer, layers.Conv2D):  # [filters, channels, height, width]
        return tensor.transpose(2, 3, 1, 0)
    return tensor.T
