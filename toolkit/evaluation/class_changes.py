"""How often an augmentation's draws are taken for another class than their images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

LOW, HIGH = 0.1, 0.5
"""A draw is turned where its own class has less than the first, another more than the second."""

OFTEN = 0.2
"""From this share of turned draws on, a transform is an offender."""

OFTEN_OF_PAIR, IMAGES_OF_PAIR = 0.5, 3
"""So is one that turns so many of a single class's draws, of so many images, into one other."""

SHOWN_WORST = 12


@dataclass(frozen=True)
class TurnedDraw:
    """A draw that is taken for another class.

    Attributes:
        image: Row of the image among those that were tested.
        number: Of the draw, from 0.
        label: The image's class.
        other: The class that the draw is taken for.
        probability: Of that class, 0 to 1.
    """

    image: int
    number: int
    label: str
    other: str
    probability: float


@dataclass(frozen=True)
class ClassChange:
    """What a transform does to the classes of images.

    Attributes:
        name: The transform's, or the policy's.
        draws: How many were made.
        turned: Share of them that are taken for another class, 0 to 1.
        unclear: Share of them that have lost their class, and got no other.
        pairs: The most frequent first: class, the other that it is taken for, and the share of the
            class's draws.
        often: Whether that is often enough to warn of: `turned` is at least 0.2, or most draws of
            one class turn into one other.
        cost: What the images themselves lose of their own class's probability, if a probe learns
            from such draws as well, 0 to 1; None where that was not measured.
        worst: The turned draws, the most confident first, one of an image, at most 12.
    """

    name: str
    draws: int
    turned: float
    unclear: float
    pairs: list[tuple[str, str, float]]
    often: bool
    cost: float | None = None
    worst: list[TurnedDraw] = field(default_factory=list, repr=False)


def measure_change(
    name: str, labels: np.ndarray, probabilities: np.ndarray, classes: list[str]
) -> ClassChange:
    """Counts the draws that are taken for another class.

    Args:
        name: Of what draws.
        labels: The images' classes, int [N].
        probabilities: For each number of draw, [V, N, K].
        classes: Names of the K classes.
    """
    numbers, count, _ = probabilities.shape

    def surely(place: Sequence[int]) -> float:
        return float(highest[tuple(place)])

    own = probabilities[:, np.arange(count), labels]
    others = probabilities.copy()
    others[:, np.arange(count), labels] = -1
    taken, highest = others.argmax(axis=2), others.max(axis=2)
    turned = (own < LOW) & (highest > HIGH)
    found = np.argwhere(turned)
    pairs = Counter((labels[image], taken[number, image]) for number, image in found)
    images = Counter((labels[i], other) for i, other in {(i, taken[n, i]) for n, i in found})
    shares = {pair: pairs[pair] / (numbers * (labels == pair[0]).sum()) for pair in pairs}
    by_image = {image: (number, image) for number, image in sorted(found.tolist(), key=surely)}
    worst = sorted(by_image.values(), key=surely)[: -SHOWN_WORST - 1 : -1]
    return ClassChange(
        name=name,
        draws=own.size,
        turned=float(turned.mean()),
        unclear=float(((own < LOW) & ~turned).mean()),
        pairs=[(classes[a], classes[b], float(shares[a, b])) for (a, b), _ in pairs.most_common()],
        often=bool(turned.mean() >= OFTEN)
        or any(shares[pair] >= OFTEN_OF_PAIR and images[pair] >= IMAGES_OF_PAIR for pair in shares),
        worst=[
            TurnedDraw(image, number, classes[labels[image]], classes[other], surely(place))
            for place in worst
            for number, image, other in [(*place, taken[place])]
        ],
    )
