"""The one pass over the images' pixels: all that the checks need to know of each."""

from dataclasses import dataclass

import numpy as np

from toolkit.data.batches import image_batches
from toolkit.data.decoding_problems import decoding_problems
from toolkit.data.perceptual_hash import THUMBNAIL_SIDE, WORDS, hash_thumbnails
from toolkit.data.prepare import SQUASH, Preparation
from toolkit.data.table import ImageTable
from toolkit.progress import Progress

BATCH_SIZE = 64
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as JPEG."""

GREY_DIFFERENCE = 1.0
"""Grey levels by which the colours of a grey image differ at most, on average."""


@dataclass(frozen=True)
class Facts:
    """What is known of each image that can be decoded.

    Attributes:
        table: These images; its problems name all others.
        headers: What their files' first bytes say, `toolkit.data.table.HEADER` [N].
        brightness: Mean luma, float32 [N], 0 to 255.
        contrast: Deviation of the luma, float32 [N], 0 to 127.5.
        grey: Whether it has no colours, bool [N].
        hashes: Perceptual hashes, uint64 [N, WORDS].
    """

    table: ImageTable
    headers: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    grey: np.ndarray
    hashes: np.ndarray


def gather_facts(table: ImageTable, max_pixels: int, progress: Progress) -> Facts:
    """Decodes each image once, as a thumbnail, and keeps some numbers of it.

    Args:
        table: The images.
        max_pixels: As the table's `scan` was given it.
        progress: Shows how far it is.
    """
    preparation = Preparation(THUMBNAIL_SIDE, THUMBNAIL_SIDE, max_pixels, crop=SQUASH)
    numbers = np.zeros([len(table), 3], np.float32)
    hashes = np.zeros([len(table), WORDS], np.uint64)
    read = np.zeros(len(table), bool)
    batches = image_batches(table, preparation, BATCH_SIZE)
    for rows, images in progress(batches, -(-len(table) // BATCH_SIZE), "Looking at images"):
        numbers[rows], hashes[rows], read[rows] = _measure(images), hash_thumbnails(images), True
    problems = decoding_problems(table, list(np.flatnonzero(~read)), preparation)
    brightness, contrast, colour = numbers[read].T
    return Facts(
        table=table.without(problems),
        headers=table.known_headers()[read],
        brightness=brightness,
        contrast=contrast,
        grey=colour < GREY_DIFFERENCE,
        hashes=hashes[read],
    )


def _measure(images: np.ndarray) -> np.ndarray:
    """Brightness, contrast and how far colours are from grey: float32 [B, 3]."""
    luma = images @ LUMA
    colour = (images.max(-1) - images.min(-1)).mean((1, 2))
    return np.stack([luma.mean((1, 2)), luma.std((1, 2)), colour], axis=1)
