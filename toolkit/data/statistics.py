"""Statistics of a split's pixels, streamed: means, covariance and the mean image."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.table import ImageTable
from toolkit.errors import NoImagesError
from toolkit.progress import Progress

PRECISION = 0.25
"""Grey levels: a sample is large enough when its channels' means have this standard error."""

SAMPLE_STEP = 2048
"""Images after which it is asked whether the sample is large enough."""

BATCH_SIZE = 32


@dataclass(frozen=True)
class PixelStatistics:
    """Of RGB values from 0 to 255, in float64.

    Attributes:
        images: How many were measured.
        mean: Of each channel: [3].
        covariance: Of the channels, over all pixels: [3, 3].
        mean_image: The mean of each pixel: [H, W, 3].
        standard_error: Of `mean` as an estimate for all images of the split: [3]; 0 where all of
            them were measured.
    """

    images: int
    mean: np.ndarray
    covariance: np.ndarray
    mean_image: np.ndarray
    standard_error: np.ndarray

    def record(self) -> dict[str, Any]:
        """For `run.json`."""
        return {
            "images": self.images,
            "mean": self.mean.tolist(),
            "deviation": np.sqrt(np.diag(self.covariance)).tolist(),
            "standard_error": self.standard_error.tolist(),
        }


def measure_pixels(
    table: ImageTable,
    preparation: Preparation,
    progress: Progress,
    precision: float = PRECISION,
    sample_step: int = SAMPLE_STEP,
) -> PixelStatistics:
    """Measures a random sample of a table's images, or all of them.

    Args:
        table: The training split; what cannot be decoded is passed over.
        preparation: How the network's input is made.
        progress: Shows how far it is.
        precision: The sample grows until the standard error of each channel's mean, between
            images, is at most so many grey levels.
        sample_step: By so many images it grows.

    Returns:
        Sums over pixels are centred and merged batch by batch, in float64: see Chan, Golub and
        LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).

    Raises:
        NoImagesError: None can be decoded.
    """
    order = np.random.default_rng(0).permutation(len(table))
    sums = _Sums(preparation)
    sampled = _samples(table.rows(order), preparation, sums, precision, sample_step)
    for images in progress(sampled, -(-len(table) // BATCH_SIZE), "Measuring pixels"):
        sums.add(images)
    if not sums.images:
        raise NoImagesError(table.root)
    return sums.statistics(len(table))


def _samples(
    table: ImageTable, preparation: Preparation, sums: "_Sums", precision: float, step: int
) -> Iterator[np.ndarray]:
    """Batches, until the sums are of images enough."""
    for start in range(0, len(table), step):
        # Each sample is taken whole: within it, images come in an order of their formats.
        rows = table.rows(np.arange(start, min(start + step, len(table))))
        for _, images in image_batches(rows, preparation, BATCH_SIZE):
            yield images
        if sums.images and sums.statistics(len(table)).standard_error.max() <= precision:
            return


class _Sums:
    """What is added up over images."""

    def __init__(self, preparation: Preparation) -> None:
        self.images = 0
        self._total = np.zeros([preparation.height, preparation.width, 3])
        self._mean = np.zeros(3)
        self._products = np.zeros([3, 3])
        self._between = np.zeros(3)  # Squares of the distances of images' means from their mean.

    def add(self, images: np.ndarray) -> None:
        pixels = images.reshape(-1, 3).astype(np.float64)
        means = images.mean(axis=(1, 2), dtype=np.float64)
        mean = means.mean(axis=0)
        centred = pixels - mean
        shift, count = mean - self._mean, self.images + len(images)
        weight = self.images * len(images) / count
        area = images.shape[1] * images.shape[2]
        self._products += centred.T @ centred + area * weight * np.outer(shift, shift)
        self._between += ((means - mean) ** 2).sum(axis=0) + weight * shift**2
        self._mean += shift * len(images) / count
        self._total += images.sum(axis=0, dtype=np.float64)
        self.images = count

    def statistics(self, available: int) -> PixelStatistics:
        """Of all that was added, a sample of so many."""
        pixels = self.images * self._total.shape[0] * self._total.shape[1]
        variance = self._between / max(self.images - 1, 1)
        left = 1 - self.images / available  # The finite population's correction.
        return PixelStatistics(
            images=self.images,
            mean=self._mean.copy(),
            covariance=self._products / pixels,
            mean_image=self._total / self.images,
            standard_error=np.sqrt(variance / self.images * max(left, 0.0)),
        )
