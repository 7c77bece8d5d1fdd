"""What a saved classifier says of one image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.evaluation.metrics import rejects


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        path: The image's file.
        classes: Names of the K classes.
        probabilities: float32 [K], summing to 1.
        reject_below: The classifier does not answer where the highest of them is lower.
    """

    path: str
    classes: Sequence[str]
    probabilities: np.ndarray
    reject_below: float = 0.0

    @property
    def rejected(self) -> bool:
        """Whether the classifier is not sure enough to answer; servers get the label "" then."""
        return bool(rejects(self.probabilities, self.reject_below))

    @property
    def label(self) -> str:
        """The most probable class, also where that is `rejected`."""
        return self.classes[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """Of the most probable class, 0 to 1."""
        return float(self.probabilities.max())

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes with their probabilities, best first."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.classes[i], float(self.probabilities[i])) for i in best]
