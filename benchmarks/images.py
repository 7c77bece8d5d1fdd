"""The images that a benchmark reads, with or without labels."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from benchmarks.settings import Settings
from toolkit.data.batches import image_batches
from toolkit.data.files import find_files
from toolkit.data.listing import ListedFile, Listing
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import SAMPLES, list_source
from toolkit.data.table import ImageTable
from toolkit.progress import Reporter

KERAS_BATCH = 32
MAX_PIXELS = 100_000_000
DESCRIBED_IMAGES = 200
UNLABELLED = "unlabelled"

quiet = Reporter(quiet=True).progress


def read_table(settings: Settings, limit: int | None = None) -> ImageTable:
    """The readable images of a source, each content once, evenly thinned to a limit.

    A folder is searched with all its folders; labels are those of class folders where the source
    has such, and 0 for all in a flat folder. What is unreadable for any contestant would end it,
    so it is left out for all.

    Raises:
        NoImagesError: There are none.
        ToolkitError: There is no such source.
    """
    table = scan(_list(settings.data), MAX_PIXELS, quiet)
    table = table.rows(np.sort(np.unique(table.digests.astype(str), return_index=True)[1]))
    settings.check_images(table)
    table = _decodable(thinned(table, limit if settings.limit is None else settings.limit))
    settings.check_images(table)
    return table


def thinned(table: ImageTable, limit: int | None) -> ImageTable:
    """At most so many rows, from all over the table."""
    if limit is None or limit >= len(table):
        return table
    return table.rows(np.unique(np.linspace(0, len(table) - 1, limit).astype(int)))


def paths(table: ImageTable) -> list[Path]:
    """The paths at which the images can be opened."""
    return [table.file(row) for row in range(len(table))]


def describe(table: ImageTable) -> str:
    """How many images there are, and of what kind and size, in a line."""
    rows = thinned(table, DESCRIBED_IMAGES)
    sizes, kinds = [], set()
    for file in paths(rows):
        with Image.open(file) as image:
            sizes.append(image.size)
            kinds.add(str(image.format))
    width, height = np.median(np.array(sizes), axis=0)
    megabytes = sum(file.stat().st_size for file in paths(table)) / 1e6
    kind = ", ".join(sorted(kinds))
    return f"{len(table):,} images ({kind}, median {width:.0f} x {height:.0f} pixels, " + (
        f"{megabytes:.1f} MB)"
    )


def prepared_images(table: ImageTable, preparation: Preparation, batch_size: int) -> list:
    """All images in memory, in batches: float32 [N, H, W, 3], values 0 to 255."""
    return [images for _, images in image_batches(table, preparation, batch_size)]


def keras_images(folder: Path, height: int, width: int) -> Iterable:
    """A folder's images as Keras reads them, with its function's defaults, in batches."""
    return keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        image_size=(height, width),
        batch_size=KERAS_BATCH,
        shuffle=False,
        verbose=False,
    )


def _list(source: str) -> Listing:
    if source in SAMPLES:
        return list_source(source)
    root = Path(source).expanduser().absolute()
    listing = list_source(root)
    if listing.files:
        return listing
    paths = [os.path.relpath(file, root) for file in find_files([str(root)])]
    files = [ListedFile(path, UNLABELLED) for path in paths]
    return Listing(root, files, [UNLABELLED])


def _decodable(table: ImageTable) -> ImageTable:
    small = Preparation(8, 8, MAX_PIXELS)
    rows: Sequence[np.ndarray] = [rows for rows, _ in image_batches(table, small, 64)]
    return table.rows(np.concatenate([np.empty(0, np.int64), *rows]))
