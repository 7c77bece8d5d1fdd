"""All that decides what an ensemble makes of its members' probabilities."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.ensembles.average import average_probabilities
from toolkit.ensembles.calibration import apply_temperature
from toolkit.ensembles.members import Members


@dataclass(frozen=True)
class Averaging:
    """How an ensemble averages.

    Attributes:
        average: "arithmetic", "geometric" or "majority".
        weights: Of the M members, summing to one.
        temperature: By which the average is scaled; 1 leaves it as it is.
    """

    average: str
    weights: NDArray[np.float64]
    temperature: float = 1.0

    def unscaled(self, members: Members) -> NDArray[np.float64]:
        """The average of probabilities [M, N, K], before the temperature: [N, K]."""
        return average_probabilities(members, self.average, self.weights)

    def __call__(self, members: Members) -> NDArray[Any]:
        """The average of probabilities [M, N, K]: [N, K]."""
        averaged = self.unscaled(members)
        return averaged if self.temperature == 1 else apply_temperature(averaged, self.temperature)
