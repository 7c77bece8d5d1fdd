"""How long a training is and how fast it learns, where nobody says so."""

import math

EPOCHS, MOST_EPOCHS = 6, 60

STEPS = 300
"""Fewer are too few to learn from: a few photos need more epochs, not fewer steps."""

PATIENCE = 5


def default_epochs(images: int, batch_size: int) -> int:
    """Epochs for about 300 steps, but at least 6 and at most 60.

    Args:
        images: In the training split.
        batch_size: Images in a step.

    Example:
        >>> default_epochs(1440, 32), default_epochs(210, 32), default_epochs(40, 32)
        (6, 42, 60)
    """
    steps = -(-images // batch_size)
    return min(MOST_EPOCHS, max(EPOCHS, STEPS // steps))


def default_rate(rate: float, images: int, batch_size: int) -> float:
    """The learning rate for so many images, given what is best for many.

    It grows with the square root of how many times the usual epochs few images get: a run of a few
    hundred steps does not get far from the pretrained weights otherwise. Twenty photos of each of
    ten classes were learned to 91 % at 1e-3 where 3e-4 came to 81 %.

    Args:
        rate: The optimizer's own.
        images: In the training split.
        batch_size: Images in a step.

    Example:
        >>> round(default_rate(3e-4, 1440, 32), 5), round(default_rate(3e-4, 160, 32), 5)
        (0.0003, 0.00095)
    """
    return rate * math.sqrt(default_epochs(images, batch_size) // EPOCHS)


def default_patience(epochs: int, planned: bool) -> int:
    """Epochs without a gain: all, where the learning rate falls as planned, or else half.

    While the rate is high, validation's loss jumps, and is often above that of the probe; what is
    learned then shows once the rate has fallen. Of six runs on photos of ten uneven classes, one
    that stopped after half of its epochs without a gain kept the probe (70 % on test), and came to
    95 % when it was let finish.

    Args:
        epochs: Of the whole run.
        planned: Whether the rate falls towards the end of the run, wherever that is.

    Returns:
        At least 5, for epochs of a few steps: many of these bring no gain.
    """
    return max(PATIENCE, epochs if planned else epochs // 2)
