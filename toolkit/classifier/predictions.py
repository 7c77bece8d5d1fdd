"""What a network says of a table's images."""

from collections.abc import Sequence

import keras
import numpy as np

from toolkit.data.batches import labelled_batches
from toolkit.data.order import steps_per_epoch
from toolkit.data.prepare import Preparation
from toolkit.data.table import ImageTable
from toolkit.progress import Progress


def predict_table(
    model: keras.Model,
    preparations: Sequence[Preparation],
    table: ImageTable,
    batch_size: int,
    progress: Progress,
    what: str,
) -> np.ndarray:
    """Probabilities float32 [N, K] of a table's N images, in its order.

    Args:
        model: float32 [B, H, W, 3], or a list of such, to probabilities [B, K].
        preparations: Of each of its inputs.
        table: The images; all can be decoded.
        batch_size: Images at once.
        progress: Shows how far it is.
        what: What it calls that.
    """
    inputs = [
        labelled_batches(table, each, batch_size).as_numpy_iterator() for each in preparations
    ]
    batches = progress(zip(*inputs, strict=True), steps_per_epoch(len(table), batch_size), what)
    several = len(preparations) > 1
    return np.concatenate(
        [
            model.predict_on_batch([images for images, _ in batch] if several else batch[0][0])
            for batch in batches
        ]
    )
