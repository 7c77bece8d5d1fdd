"""RGB pixels from 0 to 255 to what a network's first convolution was trained on.

Every normalization is made of Keras' own layers and operations, so a saved model needs no code
of this project to be loaded.
"""

import keras
from keras import ops

from toolkit.backbones.entry import Normalization

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue, from 0 to 1."""

_BGR_MEAN = (103.939, 116.779, 123.68)


def normalize(pixels: keras.KerasTensor, normalization: Normalization) -> keras.KerasTensor:
    """Put the part of a normalization that Keras' network lacks in front of it.

    Args:
        pixels: RGB from 0 to 255, shape [N, H, W, 3].
        normalization: As the registry has it.

    Returns:
        The network's input, float32 [N, H, W, 3]. "efficientnet" is whole only together with
        the network's own layers (see `fill_normalization`).
    """
    match normalization:
        case "caffe":
            return _rescale(ops.flip(pixels, axis=-1), [1.0] * 3, [-mean for mean in _BGR_MEAN])
        case "tf":
            return _rescale(pixels, 1 / 127.5, -1.0)
        case "torch":
            scale = [1 / (255 * std) for std in IMAGENET_STD]
            return _rescale(
                pixels, scale, [-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
            )
        case "lite":
            return _rescale(pixels, 1 / 128, -127 / 128)
        case "efficientnet":
            return _efficientnet(pixels)
        case "builtin":
            return pixels


def _efficientnet(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Make up for EfficientNet's file, which has the deviation where the variance belongs.

    Keras' layers give (y / 255 - mean) / sqrt(std). To make that (pixels / 255 - mean) / std,
    y is 255 mean + (pixels - 255 mean) / sqrt(std). (Keras itself has a layer for this, but only
    when it loads the weights on its own.)
    """
    scale = [std**-0.5 for std in IMAGENET_STD]
    offset = [255 * m * (1 - s) for m, s in zip(IMAGENET_MEAN, scale, strict=True)]
    return _rescale(pixels, scale, offset)


def fill_normalization(model: keras.Model) -> None:
    """Give EfficientNet's `Normalization` layer what its weights' file would give it.

    Without it, a network with random weights would not normalize.

    Args:
        model: An EfficientNet (the first family, not V2 or Lite) as Keras builds it.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.set_weights([ops.array(IMAGENET_MEAN), ops.array(IMAGENET_STD), ops.array(0)])
            layer.finalize_state()


def _rescale(
    pixels: keras.KerasTensor, scale: float | list[float], offset: float | list[float]
) -> keras.KerasTensor:
    # Normalization stays in float32 also under a mixed-precision policy.
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="normalize")(pixels)
