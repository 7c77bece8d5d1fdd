"""`--calibrate`: a temperature that makes one classifier as sure as it is right."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.choosing import Choice, predict_probe, predict_split, with_probe
from toolkit.classifier.model import divide_logits
from toolkit.data.table import TEST, VALIDATION, ImageTable
from toolkit.ensembles.calibration import (
    SPREAD,
    TINY,
    apply_temperature,
    fit_temperature,
    reliability,
)
from toolkit.ensembles.report import before_and_after
from toolkit.ensembles.weighting import IMAGES_FOR_TEMPERATURE
from toolkit.errors import TooFewToCalibrateError
from toolkit.evaluation import pictures
from toolkit.evaluation.validation import measure_validation
from toolkit.options import FeatureOptions
from toolkit.preparing import Options, Prepared, Tunable
from toolkit.probing import P
from toolkit.progress import Reporter
from toolkit.serving.bundle import EXTRA

UNSCALED = 1.0


def check_calibration(options: FeatureOptions, table: ImageTable) -> None:
    """Refuses to calibrate on too few images, before anything is trained.

    Raises:
        TooFewToCalibrateError: The validation split has fewer than 20.
    """
    count = len(table.split(VALIDATION))
    if options.calibrate and count < IMAGES_FOR_TEMPERATURE:
        raise TooFewToCalibrateError(IMAGES_FOR_TEMPERATURE, count)


def calibrate_choice(prepared: Tunable, choice: Choice, reporter: Reporter) -> Choice:
    """Divides the logits of what is kept by the temperature with the lowest validation loss.

    The temperature (Guo et al., "On calibration of modern neural networks", ICML 2017) goes into
    the weights of the head's last layer. So the model keeps its layers, and no image changes its
    class.

    Args:
        prepared: What training started from.
        choice: What is kept; its model is changed.
        reporter: Shows how far it is.

    Returns:
        The choice with its temperature, and what it gives for validation now.
    """
    table, before = prepared.table.split(VALIDATION), validation_of(prepared, choice, reporter)
    temperature = fitted_temperature(table, before)
    divide_logits(choice.model, temperature)
    after = apply_temperature(before, temperature, floor=TINY).astype(np.float32)
    metrics = measure_validation(table.labels, after, table.classes)
    return replace(choice, temperature=temperature, validation=after, metrics=metrics)


def calibrate_probe(prepared: Prepared[Options, P]) -> tuple[Prepared[Options, P], float]:
    """Divides a probe's logits by the temperature with the lowest validation loss.

    Returns:
        The same with that probe, measured anew, and the temperature.
    """
    table = prepared.table.split(VALIDATION)
    temperature = fitted_temperature(table, predict_probe(prepared, VALIDATION, "Calibrating"))
    prepared = with_probe(prepared, prepared.probed.probe.scaled(1 / temperature))
    after = predict_probe(prepared, VALIDATION, "Calibrating")
    metrics = measure_validation(table.labels, after, table.classes)
    return replace(prepared, probed=replace(prepared.probed, metrics=metrics)), temperature


def validation_of(prepared: Tunable, choice: Choice, reporter: Reporter) -> np.ndarray:
    """What the kept model gives for the validation split: float32 [N, K]."""
    if choice.validation is not None:
        return choice.validation
    return predict_split(prepared, choice, VALIDATION, reporter, "Validating")


def fitted_temperature(table: ImageTable, probabilities: np.ndarray) -> float:
    """The temperature that makes probabilities for a table as sure as they are right."""
    return fit_temperature(table.labels, probabilities, floor=TINY, spread=SPREAD)


@dataclass(frozen=True)
class Calibration:
    """What a temperature has changed.

    Attributes:
        table: All images, with their splits.
        temperature: It; 1 where nothing was calibrated.
        validation: Probabilities of the validation split, as they are now: float32 [N, K].
        test: Of the test split.
    """

    table: ImageTable
    temperature: float
    validation: np.ndarray | None
    test: np.ndarray

    def record(self) -> dict[str, Any]:
        """`calibration` in `metrics.json`, before and after; empty where nothing was calibrated."""
        if self.temperature == UNSCALED or self.validation is None:
            return {}
        record = {
            "temperature": self.temperature,
            **self._compare(TEST, self.test),
            VALIDATION: self._compare(VALIDATION, self.validation),
        }
        return {"calibration": record}

    def draw(self, metrics: dict[str, Any], saved_model: Path) -> dict[str, Any]:
        """Draws `reliability.png` into a bundle, of the test split; gives the metrics back."""
        if self.temperature != UNSCALED:
            labels = self.table.split(TEST).labels
            curves = {"before": self._before(self.test), "after": self.test}
            drawn = {name: reliability(labels, each) for name, each in curves.items()}
            pictures.reliability(drawn, saved_model / EXTRA / "reliability.png")
        return metrics

    def _compare(self, split: str, after: np.ndarray) -> dict[str, dict[str, float]]:
        labels = self.table.split(split).labels
        return before_and_after(labels, self._before(after), after, self.table.classes)

    def _before(self, after: np.ndarray) -> np.ndarray:
        return apply_temperature(after, 1 / self.temperature, floor=TINY)
