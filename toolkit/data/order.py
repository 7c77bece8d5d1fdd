"""Which images of the training split an epoch sees, and in which order."""

import numpy as np


def shuffled_rows(count: int, seed: int, epoch: int) -> np.ndarray:
    """Each row once: int64 [count], in an order that follows from seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def resampled_rows(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """As many rows as there are, drawn so that each class comes equally often.

    Where that cannot be, some classes come once more, others in each epoch. Of a small class, no
    image comes again before all others have come as often; of a large one, some are left out,
    others in each epoch.

    Args:
        labels: int [N].
        seed: With the epoch, all that decides what is drawn.
        epoch: Counted from 0.

    Returns:
        int64 [N].

    Example:
        >>> np.bincount(np.array([0, 0, 0, 0, 1, 1])[resampled_rows([0, 0, 0, 0, 1, 1], 0, 0)])
        array([3, 3])
    """
    random = np.random.default_rng([seed, epoch])
    classes = random.permutation(np.unique(labels))
    shares = np.full(len(classes), len(labels) // len(classes))
    shares[: len(labels) % len(classes)] += 1
    drawn = []
    for label, share in zip(classes, shares, strict=True):
        rows = np.flatnonzero(np.asarray(labels) == label)
        rounds = -(-share // len(rows))
        drawn.append(np.concatenate([random.permutation(rows) for _ in range(rounds)])[:share])
    return random.permutation(np.concatenate(drawn))


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches in an epoch, the last, smaller one included."""
    return -(-images // batch_size)
