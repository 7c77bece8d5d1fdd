"""Perceptual hashes: bits that change little where an image changes little."""

import imagehash
import numpy as np
from PIL import Image

from toolkit.data.batches import image_batches
from toolkit.data.groups import join_groups
from toolkit.data.near_duplicates import near_groups, near_pairs
from toolkit.data.prepare import SQUASH, Preparation
from toolkit.data.table import MAX_PIXELS, ImageTable
from toolkit.progress import Progress

THUMBNAIL_SIDE = 64
"""Pixels: of the thumbnails that are hashed without being resized once more."""

WORDS = 4
"""Words of 64 bits in a hash."""

HASH_SIDE = 16
BATCH_SIZE = 64

# Of each 8 x 8 frequencies, neighbours go to different quarters of the word: they are alike in many
# images of one data set, and `near_pairs` compares all words of which a quarter is alike.
_ORDER = np.argsort(np.add.outer(np.arange(8), np.arange(8)).ravel() % 4, kind="stable")


def perceptual_hashes(
    table: ImageTable, progress: Progress, max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes each of a table's images, streamed from the files.

    Args:
        table: The images.
        progress: Shows how far it is.
        max_pixels: As the table's `scan` was given it; images with more are passed over.

    Returns:
        The numbers of the rows whose images can be decoded, rising, int64 [M], and their hashes,
        uint64 [M, WORDS].

    Example:
        >>> rows, hashes = perceptual_hashes(table, reporter.progress)
        >>> for pairs, distances in near_pairs(hashes):
        ...     print(table.paths[rows[pairs]], distances)
    """
    side = THUMBNAIL_SIDE
    preparation = Preparation(side, side, max_pixels=max_pixels, crop=SQUASH)
    hashes = np.zeros([len(table), WORDS], np.uint64)
    readable = np.zeros(len(table), bool)
    batches = image_batches(table, preparation, BATCH_SIZE)
    for rows, thumbnails in progress(batches, -(-len(table) // BATCH_SIZE), "Hashing images"):
        hashes[rows] = hash_thumbnails(thumbnails)
        readable[rows] = True
    return np.flatnonzero(readable), hashes[readable]


def group_near_duplicates(
    table: ImageTable, progress: Progress, max_pixels: int = MAX_PIXELS
) -> ImageTable:
    """Makes a group of all images that look the same, directly or through others."""
    rows, hashes = perceptual_hashes(table, progress, max_pixels)
    sets = np.arange(len(table)) + len(table)  # What cannot be decoded is alone.
    sets[rows] = near_groups(near_pairs(hashes), len(hashes))
    return join_groups(table, sets)


def hash_thumbnails(thumbnails: np.ndarray) -> np.ndarray:
    """As `hash_thumbnail`, of uint8 or float32 [N, H, W, 3]: uint64 [N, WORDS]."""
    return np.array([hash_thumbnail(each) for each in thumbnails], np.uint64).reshape(-1, WORDS)


def hash_thumbnail(thumbnail: np.ndarray) -> np.ndarray:
    """Hashes a thumbnail of a whole image, squashed to a square.

    The hash is pHash: the signs, against their median, of the 16 x 16 lowest frequencies of the
    grey image's cosine transform (Zauner, "Implementation and Benchmarking of Perceptual Image
    Hash Functions", 2010). Colour is not in it. Images of one grey level have one hash.

    Args:
        thumbnail: uint8 or float32 [H, W, 3], values 0 to 255. Of any size; another than
            `THUMBNAIL_SIDE` squared is resized to that.

    Returns:
        uint64 [WORDS]. The first word is a coarse hash in itself: the 8 x 8 lowest frequencies.
    """
    pixels = np.clip(np.rint(thumbnail), 0, 255).astype(np.uint8)
    factor = THUMBNAIL_SIDE // HASH_SIDE
    bits = imagehash.phash(Image.fromarray(pixels), HASH_SIDE, factor).hash
    blocks = bits.reshape(2, 8, 2, 8).swapaxes(1, 2).reshape(WORDS, 64)
    return np.packbits(np.take(blocks, _ORDER, axis=1), axis=1).view(np.uint64)[:, 0]
