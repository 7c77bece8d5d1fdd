"""The optimizer and its learning rate over a run."""

from collections.abc import Mapping
from typing import Any

import keras

from toolkit.training.averaging import keep_epoch_averages
from toolkit.training.discriminative import Rate, discriminative
from toolkit.training.optimization import Optimization
from toolkit.training.optimizer_entries import find_optimizer
from toolkit.training.precision import scaled
from toolkit.training.schedules import COSINE, PLATEAU, make_schedule, warm_up_steps


def make_optimizer(
    model: keras.Model,
    optimization: Optimization,
    steps: int,
    rates: Mapping[str, Rate] | None = None,
) -> keras.optimizers.Optimizer:
    """Makes one of Keras' optimizers, with a learning rate that follows a schedule.

    Args:
        model: Its biases and one-dimensional scales are spared the weight decay.
        optimization: What is asked for.
        steps: Of the whole run.
        rates: Of variables that are trained more slowly or later than others, by their paths.

    Returns:
        The optimizer; with the schedule "plateau" it has a variable `plateau_factor`, which scales
        the learning rate; with `swa`, variables for the mean of the weights. For float16 it is
        wrapped in one that scales the loss.

    Raises:
        UnknownNameError: There is no such optimizer or schedule.

    See Loshchilov and Hutter 2019 (AdamW).
    """
    wanted, entry = optimization, find_optimizer(optimization.optimizer)
    rate = make_learning_rate(
        wanted.schedule, wanted.learning_rate, steps, wanted.warmup, wanted.swa
    )
    values: dict[str, Any] = {
        "weight_decay": wanted.weight_decay,
        "global_clipnorm": wanted.clip_norm or None,
        "use_ema": wanted.ema > 0,
        "ema_momentum": wanted.ema,
        **dict(entry.settings),
    }
    kind = getattr(keras.optimizers, entry.keras_name)
    if rates:
        kind = discriminative(kind)
        values["rates"] = [rates.get(v.path, Rate()) for v in model.trainable_variables]
    optimizer = kind(rate, **values)
    if wanted.schedule == PLATEAU:
        optimizer.plateau_factor = optimizer.add_variable((), "ones", name="plateau_factor")
        rate.factor = optimizer.plateau_factor
    if wanted.swa:
        keep_epoch_averages(optimizer, model)
    spared = [v for v in model.trainable_variables if len(v.shape) < 2]
    optimizer.exclude_from_weight_decay(var_list=spared)
    return scaled(optimizer, wanted.precision)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of `toolkit.training.schedules`, as Keras' optimizers take it.

    Args:
        name: Of the schedule.
        learning_rate: The highest.
        steps: Of the whole run.
        warmup: Share of the run, 0 to 1; by default the schedule's own.
        swa: Share of the run, at its end, over which the rate is constant.

    Attributes:
        factor: Scales the rate. Where it changes in a run, it must be a variable of the optimizer:
            JAX takes any other for a constant.
    """

    def __init__(
        self,
        name: str,
        learning_rate: float,
        steps: int,
        warmup: float | None = None,
        swa: float = 0.0,
    ) -> None:
        super().__init__()
        self._config = {
            "name": name,
            "learning_rate": learning_rate,
            "steps": steps,
            "warmup": warmup,
            "swa": swa,
        }
        self._rate = make_schedule(name, learning_rate, steps, warmup, keras.ops, swa)
        self.factor: Any = 1.0

    def __call__(self, step: Any) -> Any:
        """The rate of a step, counted from 0: float32."""
        return self._rate(keras.ops.cast(step, "float32")) * self.factor

    def get_config(self) -> dict[str, Any]:
        """Its arguments."""
        return self._config


def make_learning_rate(
    name: str, learning_rate: float, steps: int, warmup: float | None = None, swa: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A named schedule as a Keras object; the arguments are those of `Schedule`."""
    if name != COSINE or swa:
        return Schedule(name, learning_rate, steps, warmup, swa)
    # Keras' own rounds otherwise inside a graph, and runs are to be repeated to the bit.
    rise = warm_up_steps(name, steps, warmup)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / rise,
        decay_steps=max(1, steps - rise),
        warmup_target=float(learning_rate),
        warmup_steps=rise,
    )
