"""Decode: photos from the disk to the network's size, against what others read them with.

Each contestant gives all photos in a round, fewer than 1,000 as often as it takes to get there; the
files are in the system's cache. One round is not counted.

- *toolkit*: `image_batches`, which feature passes read with: centred square, EXIF orientation,
  resized with antialiasing, in batches of 32, damaged images left out.
- *image_dataset_from_directory*: Keras' function with its defaults (the whole photo, stretched,
  without antialiasing, whatever EXIF says).
- *Pillow*: open, convert, `ImageOps.fit` (centred square, bilinear with antialiasing), NumPy; in a
  thread for each core.
- *decoding alone*: `tf.io.read_file` and `tf.io.decode_jpeg` in tf.data, nothing resized: what no
  reader on TensorFlow can beat.

The end of a pass over Keras' data set waits for tf.data's tuning, whose moments come
0.01 x (2^k - 1) seconds after its beginning: 0.63, 1.27, 2.55, ... For a thousand photos, that is
much of its time. The others leave the tuning out.

The second table is what comes once in each pass: building the data set and its first batch of one
photo.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from benchmarks.folders import linked_folder, own_cache
from benchmarks.images import describe, keras_images, paths, read_table, thinned
from benchmarks.measure import alternate, rate_of, seconds_of
from benchmarks.outcome import Outcome, compare
from benchmarks.settings import Settings
from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.streams import ahead

SIZE = 224
BATCH_SIZE = 32
FEWEST_IMAGES, IMAGES = 1000, 2000
KERAS, ALONE = "image_dataset_from_directory", "decoding alone"
TOOLKIT = "toolkit"


def run(settings: Settings) -> Outcome:
    """Measures images a second."""
    size = settings.image_size or SIZE
    with own_cache():
        table = read_table(settings, IMAGES)
        data = describe(table)
        times = -(-FEWEST_IMAGES // len(table)) if settings.limit is None else 1
        table = table.rows(np.tile(np.arange(len(table)), times))
        files, preparation = paths(table), Preparation(size, size)
        with linked_folder(files) as folder, linked_folder(files[:1]) as single:
            images = keras_images(folder, size, size)
            decoded = _decoded(files)
            contestants = {
                KERAS: lambda: _take(images),
                TOOLKIT: lambda: _take(image_batches(table, preparation, BATCH_SIZE)),
                "Pillow": lambda: _read_with_pillow(files, size),
                ALONE: lambda: _take(decoded),
            }
            measures = {name: rate_of(each, len(table)) for name, each in contestants.items()}
            rates = alternate(settings.repetitions, measures, warm_up=1, say=settings.say)
            one = thinned(table, 1)
            first = {
                KERAS: seconds_of(lambda: _take(keras_images(single, size, size))),
                TOOLKIT: seconds_of(lambda: _take(image_batches(one, preparation, 1))),
            }
            built = alternate(settings.repetitions, first, warm_up=1, say=settings.say)
    comparisons = [
        compare("Throughput", "images/s", rates, ALONE),
        compare("Building the data set", "s", built, KERAS),
    ]
    return Outcome(data, comparisons, notes=[f"To {size} x {size} pixels, each {times} times."])


def _take(batches: Iterable) -> None:
    for _ in batches:
        pass


def _decoded(files: list[Path]) -> Iterable:
    names = tf.data.Dataset.from_tensor_slices([os.fsencode(file) for file in files])
    images = names.map(
        lambda name: tf.io.decode_jpeg(tf.io.read_file(name), channels=3),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return ahead(images.prefetch(BATCH_SIZE))


def decode_all(files: list[Path]) -> None:
    """Decodes files and does nothing else."""
    _take(_decoded(files))


def _read_with_pillow(files: list[Path], size: int) -> None:
    def read(file: Path) -> np.ndarray:
        with Image.open(file) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
        return np.asarray(fitted, np.float32)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), BATCH_SIZE):
            np.stack(list(pool.map(read, files[start : start + BATCH_SIZE])))
