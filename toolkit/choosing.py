"""What is kept: the probe, or the fine-tuned network."""

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from toolkit.classifier.model import attach_head
from toolkit.classifier.predictions import predict_table
from toolkit.data.prepare import Preparation
from toolkit.data.table import VALIDATION, ImageTable
from toolkit.ensembles.logit_adjustment import Adjustment
from toolkit.evaluation.validation import measure_validation
from toolkit.preparing import Options, Prepared, Tunable
from toolkit.probing import P
from toolkit.progress import Reporter
from toolkit.training.checkpoint import Checkpoint
from toolkit.unfreezing import Trainable

PROBE, TRAINED_HEAD, FINETUNED = "probe", "head", "finetuned"
SNAPSHOT = "snapshot"
PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Choice:
    """Which of probe, head that was trained alone, and fine-tuned network is kept.

    Attributes:
        chosen: "probe", "head" or "finetuned"; or "snapshot", which is kept whatever it is worth.
        why: In words.
        metrics: Its figures on validation.
        model: The classifier, with its weights.
        validation: Its probabilities for validation, float32 [N, K], where they are known already.
        adjustment: What was found where its logits were to be adjusted to uneven classes.
        lowered: By how much its logits were lowered, float32 [K]; 0: they were not.
        temperature: By which they were divided then, if they were.
    """

    chosen: str
    why: str
    metrics: dict[str, Any]
    model: keras.Model
    validation: np.ndarray | None = None
    adjustment: Adjustment | None = None
    lowered: np.ndarray | float = 0.0
    temperature: float = 1.0


def choose(
    prepared: Tunable, trainable: Trainable, checkpoint: Checkpoint, reporter: Reporter
) -> Choice:
    """Takes what is best on validation."""
    model, probed = trainable.model, prepared.probed
    measured, probabilities = {PROBE: probed.metrics}, None
    if trainable.metrics is not probed.metrics:
        measured[TRAINED_HEAD] = trainable.metrics
    if checkpoint.best_epoch:
        validation = prepared.table.split(VALIDATION)
        probabilities = predict(model, validation, prepared.preparation, reporter, "Validating")
        labels, classes = validation.labels, validation.classes
        measured[FINETUNED] = measure_validation(labels, probabilities, classes)
    # The cheaper is kept where it is as good: it comes first.
    chosen = max(measured, key=lambda name: (measured[name]["accuracy"], -measured[name]["loss"]))
    if chosen != FINETUNED and checkpoint.best_epoch:
        checkpoint.restore_start(model)
        probabilities = None
    if chosen == PROBE and TRAINED_HEAD in measured:
        model = attach_head(prepared.network.model, probed.probe.kernel, probed.probe.bias)
    return Choice(chosen, _why(measured, checkpoint), measured[chosen], model, probabilities)


def take_snapshot(
    prepared: Tunable, model: keras.Model, number: int, of: int, reporter: Reporter
) -> Choice:
    """The model as it is after the cycle with that number, however it compares with the probe."""
    validation = prepared.table.split(VALIDATION)
    probabilities = predict(model, validation, prepared.preparation, reporter, "Validating")
    metrics = measure_validation(validation.labels, probabilities, validation.classes)
    compared = _compared({SNAPSHOT: metrics, PROBE: prepared.probed.metrics})
    why = f"the end of cycle {number} of {of}; {compared}"
    return Choice(SNAPSHOT, why, metrics, model, probabilities)


def _why(measured: dict[str, dict[str, Any]], checkpoint: Checkpoint) -> str:
    """How those that were measured compare on validation."""
    reasons = [] if FINETUNED in measured else [_why_nothing_is_better(checkpoint)]
    if len(measured) > 1:
        reasons.append(_compared(measured))
    return "; ".join(reasons)


def _compared(measured: dict[str, dict[str, Any]]) -> str:
    names = {
        FINETUNED: "fine-tuning gives",
        SNAPSHOT: "the snapshot gives",
        TRAINED_HEAD: "the head alone",
        PROBE: "the probe",
    }
    parts = [
        f"{words} {measured[name]['accuracy']:.2%} (loss {measured[name]['loss']:.3f})"
        for name, words in names.items()
        if name in measured
    ]
    return f"on {measured[PROBE]['n']:,} validation images, {', '.join(parts)}"


def _why_nothing_is_better(checkpoint: Checkpoint) -> str:
    if checkpoint.history:
        return f"no epoch of fine-tuning {checkpoint.monitor.gain}"
    if checkpoint.ended:
        return f"no epoch of fine-tuning was finished: {checkpoint.ended.why}"
    return "nothing was tuned"


def predict_split(
    prepared: Tunable, choice: Choice, split: str, reporter: Reporter, what: str
) -> np.ndarray:
    """Probabilities float32 [N, K] of a split's images, by what is kept."""
    if choice.chosen != PROBE:
        table = prepared.table.split(split)
        return predict(choice.model, table, prepared.preparation, reporter, what)
    probe = prepared.probed.probe.lowered(choice.lowered).scaled(1 / choice.temperature)
    return predict_probe(with_probe(prepared, probe), split, what)


def with_probe(prepared: Prepared[Options, P], probe: P) -> Prepared[Options, P]:
    """The same with another probe."""
    return replace(prepared, probed=replace(prepared.probed, probe=probe))


def predict_probe(prepared: Prepared, split: str, what: str) -> np.ndarray:
    """Probabilities float32 [N, K] of a split's images, by the probe as it will be served."""
    probed = prepared.probed
    exact = probed.validation
    if split != VALIDATION:
        features = probed.features.split(split)
        exact = prepared.frozen.exact(features, probed.engine, prepared.table, what)
    return probed.probe.predict(exact.values)


def predict(
    model: keras.Model, table: ImageTable, preparation: Preparation, reporter: Reporter, what: str
) -> np.ndarray:
    """Probabilities float32 [N, K] of a table's images."""
    return predict_table(model, [preparation], table, PREDICTION_BATCH, reporter.progress, what)
