"""What is kept: the probe, or the fine-tuned network."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from toolkit.data.batches import labelled_batches, steps_per_epoch
from toolkit.data.prepare import Preparation
from toolkit.data.table import VALIDATION, ImageTable
from toolkit.evaluation.metrics import measure
from toolkit.progress import Reporter
from toolkit.training.checkpoint import Checkpoint

PROBE, FINETUNED = "probe", "finetuned"
PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Choice:
    """Which of probe and fine-tuned network is kept.

    Attributes:
        chosen: "probe" or "finetuned".
        why: In words.
        metrics: Its figures on validation.
        predicted: The fine-tuned network's classes of validation, int [N], where that is kept.
    """

    chosen: str
    why: str
    metrics: dict[str, Any]
    predicted: np.ndarray | None = None


def choose(
    model: keras.Model,
    probe_metrics: dict[str, Any],
    checkpoint: Checkpoint,
    table: ImageTable,
    preparation: Preparation,
    reporter: Reporter,
) -> Choice:
    """Takes what is better on validation, and leaves the model with its weights."""
    if checkpoint.best_epoch == 0:
        return Choice(PROBE, _why_nothing_is_better(checkpoint), probe_metrics)
    validation = table.split(VALIDATION)
    probabilities = predict(model, validation, preparation, reporter, "Validating")
    tuned = measure(validation.labels, probabilities, validation.classes)
    comparison = (
        f"on {tuned['n']:,} validation images, fine-tuning gives {tuned['accuracy']:.2%} "
        f"(loss {tuned['loss']:.3f}), the probe {probe_metrics['accuracy']:.2%} "
        f"(loss {probe_metrics['loss']:.3f})"
    )
    if (tuned["accuracy"], -tuned["loss"]) > (probe_metrics["accuracy"], -probe_metrics["loss"]):
        return Choice(FINETUNED, comparison, tuned, probabilities.argmax(axis=1))
    checkpoint.restore_start(model)
    return Choice(PROBE, comparison, probe_metrics)


def _why_nothing_is_better(checkpoint: Checkpoint) -> str:
    if checkpoint.history:
        return f"no epoch of fine-tuning {checkpoint.monitor.gain}"
    if checkpoint.ended:
        return f"no epoch of fine-tuning was finished: {checkpoint.ended.why}"
    return "nothing was tuned"


def predict(
    model: keras.Model, table: ImageTable, preparation: Preparation, reporter: Reporter, what: str
) -> np.ndarray:
    """Probabilities float32 [N, K] of a table's images."""
    batches: Iterable = labelled_batches(table, preparation, PREDICTION_BATCH).as_numpy_iterator()
    batches = reporter.progress(batches, steps_per_epoch(len(table), PREDICTION_BATCH), what)
    return np.concatenate([model.predict_on_batch(images) for images, _ in batches])
