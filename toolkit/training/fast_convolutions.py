"""Convolutions that take less time in a training step, with TensorFlow on an x86-64 CPU.

- BatchNorm that is frozen is a factor and an offset of each channel. The factors go into the kernel
  of the convolution before it, and the offsets become its bias. That saves passes over memory, and
  oneDNN adds the bias and applies the activation while it convolves.
- Some gradients are computed in another way (`tensorflow_convolutions`).
"""

import contextlib
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras

from toolkit.classifier.devices import is_on_gpu
from toolkit.training.tensorflow_convolutions import (
    add_bias,
    depthwise_convolution,
    pointwise_convolution,
)

_BFLOAT16 = "bfloat16"
_DTYPES = ("float32", _BFLOAT16)
"""In which it helps to compute in another way; on CPUs nothing helps float16."""

Convolve = Callable[[Any, Any], Any]
"""Images and kernel to what a convolution gives, without bias and activation."""

Weights = Callable[[], tuple[Any, Any]]
"""Gives kernel and bias, or None for it."""


@contextlib.contextmanager
def fast_convolutions(model: keras.Model) -> Iterator[None]:
    """Lets a model's convolutions, and the frozen BatchNorms behind them, take less time.

    What the model gives is the same but for rounding, and so are its gradients. Nothing is done
    where it would not help: on other backends, processors, or with a GPU.

    Args:
        model: What is trained; what was compiled or traced before does not change. Until the end,
            its layers are for models alone that connect them as it does.
    """
    calls = _faster_calls(model) if _helps_here() else {}
    for layer, call in calls.items():
        layer.call = call
    try:
        yield
    finally:
        for layer in calls:
            del layer.call


def _helps_here() -> bool:
    return (
        keras.backend.backend() == "tensorflow"
        and platform.machine().lower() in ("x86_64", "amd64")
        and not is_on_gpu()
    )


def _faster_calls(model: keras.Model) -> dict[keras.layers.Layer, Callable]:
    """What takes the place of the layers' own `call`."""
    norms = _frozen_norms(model)
    calls: dict[keras.layers.Layer, Callable] = {norm: _unchanged for norm in norms.values()}
    for layer in model.layers:
        faster, norm = _faster_way(layer), norms.get(layer)
        if faster or norm:
            weights = _normalizing(layer, norm) if norm else partial(_own_weights, layer)
            calls[layer] = partial(_call, layer, faster or _own_way(layer), weights)
    return calls


def _frozen_norms(model: keras.Model) -> dict[keras.layers.Layer, keras.layers.Layer]:
    """The frozen BatchNorms by the convolutions that give to them alone."""
    tensors = keras.tree.flatten
    takers = Counter(id(x) for op in model.operations for x in tensors(op.input))
    takers.update(id(x) for x in model.outputs)
    makers = {id(x): op for op in model.operations for x in tensors(op.output)}
    found = {}
    for norm in model.layers:
        if type(norm) is keras.layers.BatchNormalization and not norm.trainable:
            maker = makers.get(id(norm.input))  # None where a model begins with what it takes.
            if takers[id(norm.input)] == 1 and _takes_in(maker, norm):
                found[maker] = norm
    return found


def _takes_in(layer: Any, norm: keras.layers.Layer) -> bool:
    """Whether a layer is a convolution into which a BatchNorm of what it gives can go."""
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation in (None, keras.activations.linear)
        and layer.data_format == "channels_last"
        and norm.axis in (-1, 3)
        and layer.compute_dtype == norm.compute_dtype in _DTYPES
    )


def _faster_way(layer: keras.layers.Layer) -> Convolve | None:
    """Another way to a convolution, whose gradients take less time."""
    if not layer.trainable:
        return None
    if type(layer) is keras.layers.DepthwiseConv2D and _is_odd(layer):
        how = {"stride": layer.strides[0], "padding": layer.padding.upper()}
        return partial(depthwise_convolution, **how)
    if type(layer) is keras.layers.Conv2D and _is_pointwise(layer):
        return pointwise_convolution
    return None


def _is_odd(layer: keras.layers.DepthwiseConv2D) -> bool:
    """Whether its kernel has a middle, and nothing else makes it special."""
    as_large = layer.strides == (1, 1) and layer.padding == "same"
    return (
        # In float32, TensorFlow is fast with all others.
        (as_large or layer.compute_dtype == _BFLOAT16)
        and _is_dense(layer)
        and layer.depth_multiplier == 1
        and all(side % 2 for side in layer.kernel_size)
    )


def _is_pointwise(layer: keras.layers.Conv2D) -> bool:
    return (
        layer.kernel_size == layer.strides == (1, 1)
        and _is_dense(layer)
        and layer.groups == 1
        and layer.compute_dtype in _DTYPES
    )


def _is_dense(layer: keras.layers.Layer) -> bool:
    return layer.dilation_rate == (1, 1) and layer.data_format == "channels_last"


def _own_way(layer: keras.layers.Layer) -> Convolve:
    if type(layer) is keras.layers.Conv2D:
        return layer.convolution_op
    return partial(
        keras.ops.depthwise_conv,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


def _call(layer: keras.layers.Layer, convolve: Convolve, weights: Weights, images: Any) -> Any:
    kernel, bias = weights()
    outputs = convolve(images, kernel)
    if bias is not None:
        outputs = add_bias(outputs, bias)
    return outputs if layer.activation is None else layer.activation(outputs)


def _own_weights(layer: keras.layers.Layer) -> tuple[Any, Any]:
    return layer.kernel, layer.bias if layer.use_bias else None


def _normalizing(layer: keras.layers.Layer, norm: keras.layers.Layer) -> Weights:
    """Kernel and bias with which a convolution gives what the BatchNorm behind it would."""
    # In a call, Keras would have rounded these to the layer's precision already.
    kernel, bias = layer.kernel.value, layer.bias.value if layer.use_bias else 0.0
    mean, variance = norm.moving_mean.value, norm.moving_variance.value
    gamma, beta = norm.gamma.value if norm.scale else 1.0, norm.beta.value if norm.center else 0.0
    # A depthwise kernel has its output channels in two dimensions.
    depthwise = type(layer) is keras.layers.DepthwiseConv2D
    shape = layer.kernel.shape[2 if depthwise else 3 :]

    def weights() -> tuple[Any, Any]:
        factors = keras.ops.rsqrt(variance + norm.epsilon) * gamma
        scaled = kernel * keras.ops.reshape(factors, shape)
        exact = scaled, (bias - mean) * factors + beta
        return tuple(keras.ops.cast(each, layer.compute_dtype) for each in exact)

    return weights


def _unchanged(inputs: Any, **_: Any) -> Any:
    return inputs
