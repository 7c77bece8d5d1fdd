"""Data with statistics of its own, given those that ImageNet's weights expect: in the model.

All is made of Keras' own layers and operations, in front of the network's own normalization, so
it is saved, exported and served with the model.
"""

from typing import Protocol

import keras
import numpy as np
from keras import ops

from toolkit.backbones.normalization import IMAGENET_MEAN, IMAGENET_STD
from toolkit.choices import check_choice

BACKBONE = "backbone"
CHANNEL_MEAN, CHANNEL_MEAN_STD, MEAN_IMAGE = "channel-mean", "channel-mean-std", "mean-image"
PCA, ZCA = "pca", "zca"
NORMALIZATIONS = (BACKBONE, CHANNEL_MEAN, CHANNEL_MEAN_STD, MEAN_IMAGE, PCA, ZCA)

MEAN, STD = 255 * np.array(IMAGENET_MEAN), 255 * np.array(IMAGENET_STD)
"""ImageNet's, of each channel."""

SMALLEST_VARIANCE = 1.0
"""Square grey levels, added to what is divided by: grey photos have no colours to be amplified."""


class Statistics(Protocol):
    """Of a training split's pixels: see `toolkit.data.statistics`."""

    @property
    def mean(self) -> np.ndarray:
        """Of each channel: [3]."""

    @property
    def covariance(self) -> np.ndarray:
        """Of the channels: [3, 3]."""

    @property
    def mean_image(self) -> np.ndarray:
        """Of each pixel: [H, W, 3]."""


def check_normalization(name: str) -> None:
    """Refuses what is no normalization.

    Raises:
        OptionError: It is none.
    """
    check_choice("--normalize", name, NORMALIZATIONS)


def standardize(name: str, statistics: Statistics, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Standardizes pixels by a data set's statistics, and gives them ImageNet's.

    Args:
        name: One of `NORMALIZATIONS` but "backbone".
        statistics: Of the training split, values 0 to 255.
        pixels: RGB from 0 to 255, float32 [N, H, W, 3].

    Returns:
        Numbers in the place of RGB from 0 to 255. "channel-mean" moves each channel's mean to
        ImageNet's, "mean-image" each pixel's; "channel-mean-std" gives each channel ImageNet's
        mean and deviation; "pca" makes the channels the principal components, with equal
        deviations, largest first, and "zca" (Krizhevsky, "Learning Multiple Layers of Features from
        Tiny Images", 2009, appendix A) turns these back towards the colours that they came from.
    """
    if name == MEAN_IMAGE:
        layer = keras.layers.Normalization(axis=(1, 2, 3), dtype="float32", name="mean_image")
        centred = layer(pixels)
        image = statistics.mean_image
        layer.set_weights([image, np.ones_like(image), np.array(0)])
        layer.finalize_state()
        return _rescale(centred, np.ones(3), MEAN)
    matrix = _matrix(name, statistics)
    offset = MEAN - statistics.mean @ matrix
    if name in (PCA, ZCA):
        whitened = ops.matmul(pixels, matrix.astype(np.float32))
        return _rescale(whitened, np.ones(3), offset)
    return _rescale(pixels, np.diag(matrix), offset)


def _matrix(name: str, statistics: Statistics) -> np.ndarray:
    """What row vectors of RGB are multiplied by: [3, 3]."""
    if name == CHANNEL_MEAN:
        return np.eye(3)
    if name == CHANNEL_MEAN_STD:
        return np.diag(STD / np.sqrt(np.diag(statistics.covariance) + SMALLEST_VARIANCE))
    variances, components = np.linalg.eigh(statistics.covariance)
    variances, components = variances[::-1], components[:, ::-1]
    components = components * np.where(components.sum(axis=0) < 0, -1, 1)  # Either sign is found.
    whiten = components / np.sqrt(variances + SMALLEST_VARIANCE)
    return (whiten if name == PCA else whiten @ components.T) * STD


def _rescale(pixels: keras.KerasTensor, scale: np.ndarray, offset: np.ndarray) -> keras.KerasTensor:
    layer = keras.layers.Rescaling(
        scale.tolist(), offset.tolist(), dtype="float32", name="standardize"
    )
    return layer(pixels)
