"""How often an augmentation's draws are taken for another class than their images."""

from collections import Counter
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
        worst: The most confident draw of each pair, at most 12.
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
    own = probabilities[:, np.arange(count), labels]
    others = probabilities.copy()
    others[:, np.arange(count), labels] = -1
    taken, highest = others.argmax(axis=2), others.max(axis=2)
    turned = (own < LOW) & (highest > HIGH)
    draws, images = np.nonzero(turned)
    order = np.argsort(highest[turned], kind="stable")
    places = [(int(draws[k]), int(images[k])) for k in order]  # The least confident first.
    pairs = Counter((labels[image], taken[draw, image]) for draw, image in places)
    shares = {pair: times / (numbers * (labels == pair[0]).sum()) for pair, times in pairs.items()}
    worst = {(labels[image], taken[draw, image]): (draw, image) for draw, image in places}
    images_of = Counter((a, b) for a, b, _ in {(labels[i], taken[d, i], i) for d, i in places})
    return ClassChange(
        name=name,
        draws=own.size,
        turned=float(turned.mean()),
        unclear=float(((own < LOW) & ~turned).mean()),
        pairs=[(classes[a], classes[b], float(shares[a, b])) for (a, b), _ in pairs.most_common()],
        often=bool(turned.mean() >= OFTEN)
        or any(
            shares[pair] >= OFTEN_OF_PAIR and images_of[pair] >= IMAGES_OF_PAIR for pair in pairs
        ),
        worst=[
            TurnedDraw(image, draw, classes[a], classes[b], float(highest[draw, image]))
            for (a, b), _ in pairs.most_common(SHOWN_WORST)
            for draw, image in [worst[a, b]]
        ],
    )
