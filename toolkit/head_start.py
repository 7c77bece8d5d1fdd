"""The head that fine-tuning starts from: the probe's, or an MLP trained on the same features."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from toolkit.classifier.head import LINEAR
from toolkit.classifier.mlp import attach_mlp
from toolkit.classifier.model import HEAD, attach_head, make_penalty
from toolkit.data.order import steps_per_epoch
from toolkit.data.stored import labelled_rows, stored_batches
from toolkit.data.table import TRAIN, VALIDATION
from toolkit.data.targets import weighted_batches
from toolkit.evaluation.validation import measure_validation
from toolkit.options import FinetuneOptions
from toolkit.probing import FrozenNetwork, Probed
from toolkit.progress import Reporter
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.imbalance import probe_weights
from toolkit.training.length import default_patience
from toolkit.training.optimization import Optimization
from toolkit.training.probe import Probe, feature_moments
from toolkit.training.time_budget import TimeBudget
from toolkit.training.watching import watching

BATCH_SIZE, LEARNING_RATE = 32, 3e-4

STEPS, MOST_EPOCHS, LEAST_EPOCHS = 1500, 100, 5
"""An MLP alone is trained about so many steps, in so many epochs at most and at least."""

_CHUNK = 8192


@dataclass(frozen=True)
class HeadStart:
    """A backbone with a head, before any of its own layers is trained.

    Attributes:
        model: float32 [N, H, W, 3], values 0 to 255, to probabilities [N, K].
        metrics: Measured on exact features of the validation split.
    """

    model: keras.Model
    metrics: dict[str, Any]


def start_head(
    frozen: FrozenNetwork[FinetuneOptions],
    probed: Probed[Probe],
    folder: Path,
    budget: TimeBudget | None = None,
) -> HeadStart:
    """Puts on a backbone the head that the options ask for.

    A linear head takes the probe's weights. An MLP cannot, and with random weights it would tear
    up the features when stages are unfrozen; so it is first trained alone, on the cached features,
    which takes seconds (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features").

    Args:
        frozen: The backbone and the job's options.
        probed: The probe and its features.
        folder: Where an MLP's training keeps its state, so that a killed run goes on.
        budget: The job's, which ends an MLP's training, too.
    """
    options, probe = frozen.options, probed.probe
    head = options.network_head
    if head.kind == LINEAR:
        penalty = make_penalty(head.l1, head.l2 or 0.0)
        model = attach_head(
            frozen.model, probe.kernel, probe.bias, options.dropout, options.seed, penalty
        )
        return HeadStart(model, probed.metrics)
    classes = probed.features.table.classes
    moments = feature_moments(probed.features.split(TRAIN).values)
    model = attach_mlp(frozen.model, head, len(classes), *moments, options.dropout, options.seed)
    alone = keras.Model(frozen.model.output, model.get_layer(HEAD).output, name="head")
    _train(alone, probed, options, folder, frozen.reporter, budget)
    exact = probed.validation
    started = measure_validation(exact.table.labels, _predict(alone, exact.values), classes)
    return HeadStart(model, started)


def _train(
    head: keras.Model,
    probed: Probed[Probe],
    options: FinetuneOptions,
    folder: Path,
    reporter: Reporter,
    budget: TimeBudget | None,
) -> None:
    """Trains a head on the features of the training split, and leaves it with the best weights."""
    folder.mkdir(exist_ok=True)
    train, validation = probed.features.split(TRAIN), probed.features.split(VALIDATION)
    rows, measured = (part.store.rows(list(part.table.digests)) for part in (train, validation))
    labels = train.table.labels
    classes = len(train.table.classes)
    weights = probe_weights(options.imbalance, labels, classes)
    steps = steps_per_epoch(len(labels), BATCH_SIZE)
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, STEPS // steps))
    checkpoint = Checkpoint(folder, default_patience(epochs, planned=False), start=float("inf"))
    share = len(validation.table) / len(labels)
    with watching(
        checkpoint, steps, epochs, share, budget=budget, quiet=reporter.quiet, name="Head"
    ) as callbacks:
        fine_tune(
            head,
            lambda epochs: weighted_batches(
                stored_batches([rows], labels, BATCH_SIZE, seed=options.seed, epochs=epochs),
                weights,
            ),
            labelled_rows(measured, validation.table.labels, _CHUNK),
            steps_per_epoch=steps,
            epochs=epochs,
            optimization=Optimization(
                LEARNING_RATE,
                options.weight_decay,
                loss=options.loss,
                label_smoothing=options.label_smoothing,
            ),
            checkpoint=checkpoint,
            callbacks=callbacks,
            time_budget=budget,
        )


def _predict(head: keras.Model, features: np.ndarray) -> np.ndarray:
    """Probabilities float32 [N, K] for features [N, D]."""
    starts = range(0, len(features), _CHUNK)
    chunks = (np.asarray(features[start : start + _CHUNK], np.float32) for start in starts)
    logits = np.concatenate([np.asarray(head.predict_on_batch(chunk)) for chunk in chunks])
    return softmax(logits.astype(np.float64), axis=1).astype(np.float32)
