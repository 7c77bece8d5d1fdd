"""How long a training is, where nobody says so."""

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


def default_patience(epochs: int) -> int:
    """Epochs without a gain: half of all, but at least 5.

    While the learning rate rises, and in epochs of a few steps, many bring no gain.
    """
    return max(PATIENCE, epochs // 2)
