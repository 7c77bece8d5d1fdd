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


def summary(metrics: dict[str, Any]) -> str:
    """A measurement in one line for people."""
    low, high = metrics["accuracy_ci95"]
    return (
        f"{metrics['accuracy']:.1%} accuracy (95 % interval {low:.1%} to {high:.1%}, "
        f"{metrics['n']:,} images) and loss {metrics['loss']:.3f}"
    )
