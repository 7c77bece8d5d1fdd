"""Convolutions of which TensorFlow computes the gradients in a slower way than it could, on x86-64.

They give what TensorFlow's own give, and the same gradients but for rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any

_NARROW = 3
"""Columns of a depthwise kernel up to which oneDNN has a fast kernel for its gradient.

Wider ones go through that for grouped convolutions, which is ten times slower in float32 and forty
times in bfloat16.
"""

_STRIDES = [1, 1, 1, 1]


def add_bias(outputs: Any, bias: Any) -> Any:
    """Adds [D] to [N, H, W, D] by the operation that TensorFlow joins with a convolution."""
    import tensorflow as tf

    return tf.nn.bias_add(outputs, tf.convert_to_tensor(bias))


def pointwise_convolution(images: Any, kernel: Any) -> Any:
    """A convolution of one pixel: [N, H, W, C] with [1, 1, C, D], to [N, H, W, D].

    Its gradients are matrix products of all pixels, which oneDNN computes faster as such.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradients(errors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows, matrix = (tf.reshape(each, [-1, each.shape[-1]]) for each in (errors, kernel))
            to_images = tf.matmul(rows, matrix, transpose_b=True)
            pixels = tf.reshape(images, [-1, images.shape[-1]])
            to_kernel = tf.matmul(pixels, rows, transpose_a=True)
            return tf.reshape(to_images, tf.shape(images)), tf.reshape(to_kernel, kernel.shape)

        return tf.nn.conv2d(images, kernel, _STRIDES, "SAME"), gradients

    return convolve(tf.convert_to_tensor(images), tf.convert_to_tensor(kernel))


def depthwise_convolution(images: Any, kernel: Any, stride: int = 1, padding: str = "SAME") -> Any:
    """A depthwise convolution: [N, H, W, C] with [height, width, C, 1], to [N, H', W', C].

    Its kernel's sides are odd: then the images' gradient is a convolution of the errors, with the
    kernel turned round, and oneDNN is up to a quarter faster with that. Of a wide kernel, only
    three columns at a time are given a gradient.

    Errors of fewer windows than there are pixels are spread over the images first, with zeros
    between. That is more to compute, and still forty times faster than TensorFlow in bfloat16.
    """
    import tensorflow as tf

    strides = [1, stride, stride, 1]
    fewer = stride > 1 or padding == "VALID"
    if fewer and None in images.shape[1:3]:
        return tf.nn.depthwise_conv2d(images, kernel, strides, padding)

    @tf.custom_gradient
    def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradients(errors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sides = images.shape, kernel.shape
            spread = _spread(errors, *sides, stride, padding) if fewer else errors
            turned = tf.reverse(kernel, axis=[0, 1])
            to_images = tf.nn.depthwise_conv2d(spread, turned, _STRIDES, "SAME")
            if kernel.shape[1] > _NARROW and not _is_smaller(images, kernel.shape):
                return to_images, _kernel_gradient(images, kernel.shape, spread)
            return to_images, tf.nn.depthwise_conv2d_backprop_filter(
                images, kernel.shape, errors, strides, padding
            )

        return tf.nn.depthwise_conv2d(images, kernel, strides, padding), gradients

    return convolve(tf.convert_to_tensor(images), tf.convert_to_tensor(kernel))


def _spread(
    errors: Any, images: Sequence[int], kernel: Sequence[int], stride: int, padding: str
) -> Any:
    """Errors over the images' height and width, each where the middle of its window lies."""
    import tensorflow as tf

    sides = list(zip(images[1:3], kernel[:2], errors.shape[1:3], strict=True))
    (rows, above), (columns, left) = (_margins(*each, stride, padding) for each in sides)
    spread = tf.pad(errors[:, :, None, :, None, :], [[0, 0], rows, above, columns, left, [0, 0]])
    height, width = stride * spread.shape[1], stride * spread.shape[3]
    spread = tf.reshape(spread, [-1, height, width, images[3]])
    return spread[:, : images[1], : images[2]]


def _margins(
    size: int, side: int, windows: int, stride: int, padding: str
) -> tuple[list[int], list[int]]:
    """Zeros along an axis: around the errors of all windows in strides, and around each error."""
    over = max((windows - 1) * stride + side - size, 0) if padding == "SAME" else 0
    before, first = divmod(side // 2 - over // 2, stride)
    after = -(-size // stride) - before - windows
    return [before, max(after, 0)], [first, stride - 1 - first]


def _kernel_gradient(images: Any, shape: Sequence[int], errors: Any) -> Any:
    """The gradient of a wide kernel, from the errors of what it gave for the images."""
    import tensorflow as tf

    columns = _three_columns(images, shape, errors, 1)
    for apart in range(2, shape[1] // 2 + 1):
        outer = _three_columns(images, shape, errors, apart)
        columns = tf.concat([outer[:, :1], columns, outer[:, -1:]], axis=1)
    return columns


def _is_smaller(images: Any, shape: Sequence[int]) -> bool:
    """Whether images are smaller than a kernel, or may be: oneDNN is slow with parts of it, too."""
    height, width = images.shape[1:3]
    return None in (height, width) or height < shape[0] or width < shape[1]


def _three_columns(images: Any, shape: Sequence[int], errors: Any, apart: int) -> Any:
    """The gradient of the middle column and of those so far to its left and right.

    So many neighbouring columns of the images become one with as many times the channels, which
    moves nothing in memory: columns so far apart then lie side by side.
    """
    import tensorflow as tf

    width, channels = images.shape[2:]
    margin = [[0, 0], [0, 0], [0, -width % apart], [0, 0]]
    size = [tf.shape(images)[0], images.shape[1], -(-width // apart), apart * channels]
    if width % apart:
        images, errors = tf.pad(images, margin), tf.pad(errors, margin)
    gradient = tf.nn.depthwise_conv2d_backprop_filter(
        tf.reshape(images, size),
        [shape[0], _NARROW, apart * channels, 1],
        tf.reshape(errors, size),
        _STRIDES,
        "SAME",
    )
    parts = tf.reshape(gradient, [shape[0], _NARROW, apart, channels])
    return tf.reduce_sum(parts, axis=2)[..., None]
