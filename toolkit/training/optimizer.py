"""The optimizer and its learning rate over a run."""

from collections.abc import Mapping
from typing import Any

import keras

from toolkit.training.discriminative import Rate, discriminative

WARM_UP = 0.1


def make_optimizer(
    model: keras.Model,
    learning_rate: float,
    weight_decay: float,
    steps: int,
    rates: Mapping[str, Rate] | None = None,
) -> keras.optimizers.Optimizer:
    """AdamW that warms up over the first tenth of the steps and then falls along a cosine to 0.

    Args:
        model: Its biases and one-dimensional scales are spared the weight decay.
        learning_rate: The highest, at the end of the warm-up.
        weight_decay: Decoupled, times the learning rate, in each step.
        steps: Of the whole run.
        rates: Of variables that are trained more slowly or later than others, by their paths.

    See Loshchilov and Hutter 2017 (SGDR) and 2019 (AdamW).
    """
    warm_up = max(1, int(WARM_UP * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / warm_up,  # With 0, the first step would be lost.
        decay_steps=max(1, steps - warm_up),
        warmup_target=float(learning_rate),
        warmup_steps=warm_up,
    )
    # Clipping only meets the rare step that would undo what the network has learned.
    values: dict[str, Any] = {"weight_decay": weight_decay, "global_clipnorm": 1.0}
    kind = keras.optimizers.AdamW
    if rates:
        kind = discriminative(kind)
        values["rates"] = [rates.get(v.path, Rate()) for v in model.trainable_variables]
    optimizer = kind(schedule, **values)
    spared = [v for v in model.trainable_variables if len(v.shape) < 2]
    optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer
