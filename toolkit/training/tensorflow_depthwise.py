"""A faster way to the same gradient: of wide depthwise kernels, with TensorFlow on an x86-64 CPU.

There, oneDNN has a kernel for the filter gradient of depthwise convolutions up to three columns
wide; wider ones go through that for grouped convolutions, which is ten times slower in float32 and
forty times in bfloat16. So the three columns in the middle are computed by themselves, and those
beside them one by one, where each is a convolution of one column over images moved by as much.
"""

import contextlib
import platform
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras

from toolkit.classifier.devices import is_on_gpu

NARROW = 3
"""Columns of a kernel up to which TensorFlow is fast."""

_STRIDES = [1, 1, 1, 1]


@contextlib.contextmanager
def fast_depthwise_gradients(model: keras.Model) -> Iterator[None]:
    """Lets a model's wide depthwise convolutions compute their filters' gradients in parts.

    The gradients are the same but for rounding, and so is all that the model gives. Nothing is
    done where it would not help: on other backends, processors, or with a GPU.

    Args:
        model: What is trained; what was compiled or traced before does not change.
    """
    layers = [layer for layer in model.layers if _is_slow(layer)] if _helps_here() else []
    for layer in layers:
        layer.call = partial(_call, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _helps_here() -> bool:
    return (
        keras.backend.backend() == "tensorflow"
        and platform.machine().lower() in ("x86_64", "amd64")
        and not is_on_gpu()
    )


def _is_slow(layer: keras.layers.Layer) -> bool:
    """Whether it is such a convolution, of the kind that networks are made of."""
    if type(layer) is not keras.layers.DepthwiseConv2D or not layer.trainable:
        return False
    columns, width = layer.kernel_size[1], layer.input.shape[2]
    plain = (layer.strides, layer.dilation_rate) == ((1, 1), (1, 1)) and layer.padding == "same"
    return (
        plain
        and layer.depth_multiplier == 1
        and layer.data_format == "channels_last"
        and columns > NARROW
        and columns % 2 == 1
        and width is not None
        and width >= columns
    )


def _call(layer: keras.layers.DepthwiseConv2D, inputs: Any) -> Any:
    outputs = _convolve(inputs, layer.kernel)
    if layer.use_bias:
        outputs = keras.ops.add(outputs, layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


def _convolve(images: Any, kernel: Any) -> Any:
    """The depthwise convolution: [N, H, W, C] with [height, width, C, 1], to [N, H, W, C]."""
    import tensorflow as tf

    @tf.custom_gradient
    def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradients(errors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            to_images = tf.nn.depthwise_conv2d_backprop_input(
                tf.shape(images), kernel, errors, _STRIDES, "SAME"
            )
            return to_images, _kernel_gradient(images, kernel.shape, errors)

        return tf.nn.depthwise_conv2d(images, kernel, _STRIDES, "SAME"), gradients

    return convolve(tf.convert_to_tensor(images), tf.convert_to_tensor(kernel))


def _kernel_gradient(images: Any, shape: Sequence[int], errors: Any) -> Any:
    """The gradient of a kernel of this shape, from the errors of what it gave for the images."""
    import tensorflow as tf

    def of_columns(count: int, images: tf.Tensor, errors: tf.Tensor) -> tf.Tensor:
        sizes = [shape[0], count, *shape[2:]]
        return tf.nn.depthwise_conv2d_backprop_filter(images, sizes, errors, _STRIDES, "SAME")

    moves = range(NARROW // 2 + 1, shape[1] // 2 + 1)
    left = [of_columns(1, images[:, :, :-by], errors[:, :, by:]) for by in reversed(moves)]
    right = [of_columns(1, images[:, :, by:], errors[:, :, :-by]) for by in moves]
    return tf.concat([*left, of_columns(NARROW, images, errors), *right], axis=1)
