"""What the main job gives back."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.serving.bundle import Bundle
from toolkit.serving.loaded import Classifier


@dataclass(frozen=True)
class FinetuneResult:
    """A classifier that was trained, measured and saved.

    Attributes:
        bundle: Where it was saved.
        timings: Seconds of each part of the job.
    """

    bundle: Bundle
    timings: dict[str, float]

    @property
    def path(self) -> Path:
        """The bundle's folder."""
        return self.bundle.path

    @functools.cached_property
    def classifier(self) -> Classifier:
        """The saved classifier, which predicts."""
        return Classifier(self.path)

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return self.classifier.metrics

    @property
    def run(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return self.classifier.run


class EnsembleResult(FinetuneResult):
    """An ensemble of saved classifiers that was measured and saved, as `FinetuneResult` is."""


class SoupResult(FinetuneResult):
    """The average of saved classifiers' weights, measured and saved, as `FinetuneResult` is."""


@dataclass(frozen=True)
class ClassifyResult:
    """A classifier of scikit-learn that was fitted and measured, and saved where it can be served.

    Attributes:
        metrics: The content of `metrics.json`.
        run: The content of `run.json`.
        bundle: Where it was saved, or None.
        why_not_saved: Why it was not, or "".
        timings: Seconds of each part of the job.
    """

    metrics: dict[str, Any]
    run: dict[str, Any]
    bundle: Bundle | None
    why_not_saved: str
    timings: dict[str, float]

    @property
    def path(self) -> Path | None:
        """The bundle's folder, or None."""
        return self.bundle.path if self.bundle else None

    @functools.cached_property
    def classifier(self) -> Classifier | None:
        """The saved classifier, which predicts, or None."""
        return Classifier(self.bundle.path) if self.bundle else None


def summary(metrics: dict[str, Any]) -> str:
    """A measurement in one line for people."""
    low, high = metrics["accuracy_ci95"]
    return (
        f"{metrics['accuracy']:.1%} accuracy (95 % interval {low:.1%} to {high:.1%}, "
        f"{metrics['n']:,} images) and loss {metrics['loss']:.3f}"
    )
