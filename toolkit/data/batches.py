"""Batches of prepared images, streamed from the files with tf.data."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from toolkit.data.decode import make_decoder
from toolkit.data.prepare import Preparation, make_preparer
from toolkit.data.table import ImageTable, Problem

Augment = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(uint8 [N, H, W, 3], int64 seeds [N, S]) to uint8 [N, H, W, 3]."""


def image_batches(
    table: ImageTable, preparation: Preparation, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Streams a table's images in order, leaving out those that cannot be decoded.

    Yields:
        Row numbers int64 [B] and images float32 [B, height, width, 3], values 0 to 255. The rows
        that never appear are the damaged ones: `decoding_problems` says what is wrong with them.
    """
    files, read = _files(table), _make_reader(preparation)
    rows = tf.data.Dataset.range(len(table))
    images = rows.map(lambda row: (row, read(files[row])), num_parallel_calls=tf.data.AUTOTUNE)
    return images.ignore_errors().batch(batch_size).prefetch(2).as_numpy_iterator()


def _files(table: ImageTable) -> tf.Tensor:
    return tf.constant(table.files(), tf.string, shape=[len(table)])


def _make_reader(preparation: Preparation) -> Callable[[tf.Tensor], tf.Tensor]:
    decode, prepare = make_decoder(preparation.max_pixels), make_preparer(preparation)
    return lambda file: prepare(decode(tf.io.read_file(file)))


def labelled_batches(
    table: ImageTable, preparation: Preparation, batch_size: int
) -> tf.data.Dataset:
    """Images and labels in the table's order, once, never augmented: for validation and test.

    Returns:
        A data set of (float32 [B, height, width, 3], int32 [B]).
    """
    files = _files(table)
    read = _make_reader(preparation)
    rows = tf.data.Dataset.from_tensor_slices((files, table.labels))
    images = rows.map(lambda file, label: (read(file), label), num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(batch_size).prefetch(2)


def training_batches(
    table: ImageTable,
    preparation: Preparation,
    batch_size: int,
    *,
    augment: Augment | None,
    seed: int,
    epochs: range,
) -> tf.data.Dataset:
    """Shuffled and augmented batches of all the epochs, one after another.

    Order and augmentation follow from the seed, the epoch and the image alone: they differ from
    epoch to epoch, are the same for the same seed, and a run that is resumed at an epoch goes on
    with what an uninterrupted one would have seen.

    Args:
        table: The training split.
        preparation: What is done to each image first.
        batch_size: Images in a batch; an epoch's last batch may be smaller.
        augment: Draws a changed copy of each image of a batch, or None.
        seed: Of order and augmentation.
        epochs: The epochs to give, counted from 0.

    Returns:
        A data set of (float32 [B, height, width, 3], int32 [B]), `len(epochs)` times
        `steps_per_epoch(len(table), batch_size)` batches long.
    """
    files = _files(table)
    labels = tf.constant(table.labels)
    read = _make_reader(preparation)

    def order(epoch: np.int64) -> np.ndarray:
        return np.random.default_rng([seed, int(epoch)]).permutation(len(table))

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.ensure_shape(tf.numpy_function(order, [epoch], tf.int64), [len(table)])
        rows = tf.data.Dataset.from_tensor_slices(rows)
        images = rows.map(lambda row: (read(files[row]), row), num_parallel_calls=tf.data.AUTOTUNE)
        batches = images.batch(batch_size)
        change = _make_augmenter(augment, seed, epoch, preparation)
        return batches.map(
            lambda images, rows: (change(images, rows), tf.gather(labels, rows)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    numbers = tf.data.Dataset.from_tensor_slices(np.array(epochs, np.int64))
    return numbers.flat_map(epoch_batches).prefetch(2)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches in an epoch, the last, smaller one included."""
    return -(-images // batch_size)


def _make_augmenter(
    augment: Augment | None, seed: int, epoch: tf.Tensor, preparation: Preparation
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    if augment is None:
        return lambda images, rows: images

    def change(images: np.ndarray, rows: np.ndarray, epoch: np.int64) -> np.ndarray:
        seeds = np.stack([np.full_like(rows, seed), np.full_like(rows, epoch), rows], axis=-1)
        return augment(np.rint(images).astype(np.uint8), seeds).astype(np.float32)

    shape = [None, preparation.height, preparation.width, 3]
    return lambda images, rows: tf.ensure_shape(
        tf.numpy_function(change, [images, rows, epoch], tf.float32), shape
    )


def decoding_problems(
    table: ImageTable, rows: Sequence[int], preparation: Preparation
) -> list[Problem]:
    """Says why rows that `image_batches` left out cannot be decoded.

    Raises:
        RuntimeError: One can be decoded after all, so that something else went wrong.
    """
    read = _make_reader(preparation)
    files = table.files()
    return [Problem(table.paths[row], _decoding_error(read, files[row])) for row in rows]


def _decoding_error(read: Callable, file: bytes) -> str:
    try:
        read(tf.constant(file))
    except tf.errors.InvalidArgumentError as error:
        return f"damaged, cut short or of a rare kind ({_decoders_words(error.message)})"
    except tf.errors.NotFoundError:
        return "No such file or directory"
    except tf.errors.PermissionDeniedError:
        return "Permission denied"
    raise RuntimeError(f"{file!r} was left out of a batch, and can be decoded")


def _decoders_words(message: str) -> str:
    """TensorFlow's message without the operation's name around it."""
    text = message.split("}} ")[-1].split(" [Op:")[0].split("Summarized data: ")[-1]
    return " ".join(line.removeprefix("b'").strip("'") for line in text.splitlines())[:120]
