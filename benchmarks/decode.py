"""Decode: photos from the disk to the network's size, against what others read them with.

Each contestant gives all photos in a round, fewer than 1,000 as often as it takes to get there, and
makes its data set or threads for it anew, as who reads photos once does; the files are in the
system's cache. One round is not counted.

- *toolkit*: `image_batches`, which feature passes read with: centred square, EXIF orientation,
  resized with antialiasing, in batches of 32, damaged images left out. What the files' headers say
  is known, since every job scans its files before, for their digests.
- *image_dataset_from_directory*: Keras' function with its defaults (the whole photo, stretched,
  without antialiasing, whatever EXIF says).
- *Pillow*: open, convert, `ImageOps.fit` (centred square, bilinear with antialiasing), NumPy; in a
  thread for each core.
- *OpenCV*: decode, the centred square, `INTER_AREA` on bytes; in a thread for each core. Where all
  are JPEGs.
- *bare operations*: TensorFlow's fewest for the same pixels, in batches: read, decode the centred
  square, average areas; the square is known before. No EXIF, no other format, nothing checked. No
  reader that is made of these operations can beat it. Where all are JPEGs.
- *decoding alone*: `tf.io.read_file` and `tf.io.decode_jpeg` in tf.data, nothing resized.

The end of a pass over Keras' data set waits for tf.data's tuning, whose moments come
0.01 x (2^k - 1) seconds after its beginning: 0.63, 1.27, 2.55, ... For a thousand photos, that is
much of its time. The others leave the tuning out.

The second table is what comes once in each pass: building the data set and its first batch of one
photo.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from benchmarks.folders import linked_folder, own_cache
from benchmarks.images import describe, keras_images, paths, read_table, thinned
from benchmarks.measure import alternate, rate_of, seconds_of
from benchmarks.outcome import Outcome, compare
from benchmarks.settings import Settings
from toolkit.data.batches import image_batches
from toolkit.data.decode import JPEG_OPTIONS
from toolkit.data.prepare import Preparation
from toolkit.data.streams import ahead

SIZE = 224
BATCH_SIZE = 32
FEWEST_IMAGES, IMAGES = 1000, 2000
KERAS, TOOLKIT = "image_dataset_from_directory", "toolkit"
BARE, ALONE = "bare operations", "decoding alone"


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
            contestants = {
                KERAS: lambda: _take(keras_images(folder, size, size)),
                TOOLKIT: lambda: _take(image_batches(table, preparation, BATCH_SIZE)),
                "Pillow": lambda: _read_in_threads(_read_with_pillow, files, size),
                **readers_of_jpegs(files, size),
                ALONE: lambda: decode_all(files),
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


def readers_of_jpegs(files: list[Path], size: int) -> dict[str, Callable[[], None]]:
    """Contestants that read nothing else; none where there is anything else."""
    for file in files:
        with Image.open(file) as image:
            if image.format != "JPEG":
                return {}
    squares = centred_squares(files)
    return {
        "OpenCV": lambda: _read_in_threads(read_with_opencv, files, size),
        BARE: lambda: _take(bare_operations(files, squares, size)),
    }


def bare_operations(files: list[Path], squares: np.ndarray, size: int) -> Iterable:
    """Centred squares of JPEGs in batches, float32 [B, size, size, 3]; all is known before."""

    def read(name: tf.Tensor, square: tf.Tensor) -> tf.Tensor:
        part = tf.image.decode_and_crop_jpeg(tf.io.read_file(name), square, **JPEG_OPTIONS)
        return tf.raw_ops.ResizeArea(images=part[None], size=[size, size])[0]

    names = [os.fsencode(file) for file in files]
    rows = tf.data.Dataset.from_tensor_slices((names, squares))
    return ahead(rows.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH_SIZE))


def centred_squares(files: list[Path]) -> np.ndarray:
    """Their top, left, height and width: int32 [N, 4]."""
    return np.array([_centred_square(file) for file in files], np.int32)


def _centred_square(file: Path) -> tuple[int, int, int, int]:
    with Image.open(file) as image:
        side = min(image.size)
        return (image.height - side) // 2, (image.width - side) // 2, side, side


def _read_in_threads(read: Callable[[Path, int], np.ndarray], files: list[Path], size: int) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), BATCH_SIZE):
            batch = files[start : start + BATCH_SIZE]
            np.stack(list(pool.map(read, batch, [size] * len(batch))))


def _read_with_pillow(file: Path, size: int) -> np.ndarray:
    with Image.open(file) as image:
        fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return np.asarray(fitted, np.float32)


def read_with_opencv(file: Path, size: int) -> np.ndarray:
    """The centred square of a file: float32 [size, size, 3], values 0 to 255."""
    image = np.asarray(cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR_RGB))
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = image[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
