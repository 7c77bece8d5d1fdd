"""Pictures of a training and its result, each a function from plain data to a PNG file.

matplotlib's `Figure` is used without pyplot: nothing global is touched, so pictures can be drawn
from any thread and beside a notebook's own plots.
"""

from toolkit.evaluation.pictures.augmentations import TurnedPair, augmentations
from toolkit.evaluation.pictures.confusion_matrix import confusion_matrix
from toolkit.evaluation.pictures.learning_curves import learning_curves
from toolkit.evaluation.pictures.learning_rates import learning_rates
from toolkit.evaluation.pictures.mistakes import mistakes, most_confident_mistakes
from toolkit.evaluation.pictures.reliability import reliability
from toolkit.evaluation.pictures.schedules import schedules

__all__ = [
    "TurnedPair",
    "augmentations",
    "confusion_matrix",
    "learning_curves",
    "learning_rates",
    "mistakes",
    "most_confident_mistakes",
    "reliability",
    "schedules",
]
