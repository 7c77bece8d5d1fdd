"""At what rate each stage is trained, and from which epoch."""

from collections.abc import Mapping

import keras

from toolkit.training.discriminative import Rate


def first_epochs(trained: list[str], epochs: int, gradually: bool) -> dict[str, int]:
    """The epoch, from 0, in which each stage begins to be trained.

    Gradually: the top stage from the first epoch on (the head, alone, has been fitted as a probe),
    then one more in each epoch; several at once where all would not be trained by the middle of the
    run, as the learning rate falls after it.

    Args:
        trained: The stages that are trained by the end, from the input up.
        epochs: Of the whole run.
        gradually: Otherwise all are trained from the first epoch on.

    See Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification".

    Example:
        >>> first_epochs(["block6", "block7", "top"], epochs=6, gradually=True)
        {'block6': 2, 'block7': 1, 'top': 0}
    """
    count = len(trained)
    phases = min(count, epochs // 2 + 1) if gradually else 0
    return {name: (count - 1 - k) * phases // count for k, name in enumerate(trained)}


def stage_rates(
    stages: Mapping[str, list[keras.layers.Layer]],
    starts: Mapping[str, int],
    factor: float,
    steps_per_epoch: int,
) -> dict[str, Rate]:
    """The rates of all variables that are not trained as the head is, by their paths.

    Args:
        stages: The layers of each stage, frozen where they are not to be trained.
        starts: The trained stages from the input up, as `first_epochs` gives them.
        factor: Of the learning rate from each stage to the next below; the top stage's is once
            the factor of the head's.
        steps_per_epoch: Batches in an epoch.
    """
    rates: dict[str, Rate] = {}
    for depth, name in enumerate(reversed(list(starts)), 1):
        rate = Rate(factor**depth, starts[name] * steps_per_epoch)
        for layer in stages[name] if rate != Rate() else ():
            rates |= {variable.path: rate for variable in layer.trainable_variables}
    return rates
