"""The numbers of the validation split, by which epochs are compared."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.metrics import measure
from toolkit.training.calibrated_loss import NAME, CalibratedLoss

_CHUNK = 8192


def measure_validation(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """What `measure` gives, and `calibrated_loss`, by which epochs are compared."""
    metric = CalibratedLoss()
    for start in range(0, len(labels), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        logits = np.log(np.maximum(probabilities[chunk], np.finfo(np.float32).tiny))
        metric.update_state(labels[chunk], logits)
    return measure(labels, probabilities, classes) | {NAME: float(metric.result())}
