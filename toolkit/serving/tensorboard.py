"""A log of a training for TensorBoard."""

import importlib.util
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from toolkit.data.batches import training_batches
from toolkit.data.prepare import Preparation
from toolkit.data.table import ImageTable
from toolkit.data.views import Views
from toolkit.errors import MissingPackageError, NotWritableError
from toolkit.evaluation.pictures import canvas
from toolkit.evaluation.pictures.confusion_matrix import confusion_matrix_figure

SHOWN_IMAGES = 16
"""Of a batch, at most."""


class TensorBoardLog:
    """A folder that `tensorboard --logdir FOLDER` shows.

    Args:
        folder: Made if it is not there. A run that is resumed adds to it.

    Raises:
        MissingPackageError: TensorBoard, which writes it, is not installed.
        NotWritableError: Nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise MissingPackageError("--tensorboard", "'toolkit[tensorboard]'")
        self._folder = Path(folder).expanduser()
        try:
            for part in ("train", "validation"):
                (self._folder / part).mkdir(parents=True, exist_ok=True)
            probe = self._folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise NotWritableError("--tensorboard", folder, error) from error

    def callback(self) -> keras.callbacks.Callback:
        """Writes loss, accuracy and learning rate after each epoch."""
        return keras.callbacks.TensorBoard(self._folder, write_graph=False)

    def batch(
        self,
        table: ImageTable,
        preparation: Preparation,
        batch_size: int,
        views: Views,
        mix: str,
    ) -> None:
        """Writes some of the first batch of training, augmented and mixed, as one image.

        Args:
            table: The training split.
            preparation: What is done to each image.
            batch_size: Images in a batch.
            views: How they are augmented.
            mix: How they are mixed.
        """
        batches = training_batches(
            table, preparation, batch_size, views=views, epochs=range(1), mix=mix
        )
        images = next(batches.as_numpy_iterator())[0]
        self._write("train", "augmented batch", tile(images[:SHOWN_IMAGES]))

    def confusion(self, labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> None:
        """Writes a confusion matrix; the arguments are those of `pictures.confusion_matrix`."""
        figure = confusion_matrix_figure(labels, predicted, classes)
        self._write("validation", "confusion matrix", canvas.pixels(figure))

    def _write(self, part: str, name: str, image: np.ndarray) -> None:
        writer = tf.summary.create_file_writer(str(self._folder / part))
        with writer.as_default():
            tf.summary.image(name, image[None], step=0)
        writer.close()


def tile(images: np.ndarray) -> np.ndarray:
    """Images side by side, in rows: float32 [N, H, W, 3], 0 to 255, to one as uint8."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.zeros([rows * columns, height, width, channels], np.uint8)
    sheet[:count] = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    sheet = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, channels)
