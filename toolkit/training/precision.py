"""In which floating-point numbers a training step computes; weights are float32 in all of them."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping

import keras

from toolkit.classifier.devices import is_on_gpu
from toolkit.classifier.model import HEAD
from toolkit.training.optimization import BFLOAT16, FLOAT16, FLOAT32

WARM_UP_STEPS, TIMED_STEPS = 1, 3

LEAST_GAIN = 1.1
"""Times float32's speed: less is no reason to compute less exactly."""


@contextlib.contextmanager
def computing_in(model: keras.Model, precision: str) -> Iterator[None]:
    """Lets a model's layers compute in a precision, and afterwards as they did before.

    The layer that gives the logits stays as it is, float32, and so do all weights: the model is
    saved as if nothing had been.

    Args:
        model: What is trained; what was compiled or traced before does not change.
        precision: One of Keras' dtype policies.

    See Micikevicius et al. 2018, "Mixed Precision Training".
    """
    changed = {} if precision == FLOAT32 else {x: x.dtype_policy for x in _lowered(model)}
    for layer in changed:
        layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer, former in changed.items():
            layer.dtype_policy = former


def _lowered(model: keras.Model) -> list[keras.layers.Layer]:
    inputs = keras.layers.InputLayer
    return [x for x in model.layers if x.name != HEAD and not isinstance(x, inputs)]


def scaled(optimizer: keras.optimizers.Optimizer, precision: str) -> keras.optimizers.Optimizer:
    """An optimizer that scales the loss where small gradients would vanish: in float16."""
    if precision != FLOAT16:
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer itself, inside what scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def candidates() -> list[str]:
    """What may be faster than float32 here: on CPUs, float16 never is."""
    return [FLOAT32, BFLOAT16, *([FLOAT16] if is_on_gpu() else [])]


def seconds_of_a_step(step: Callable[[], object]) -> float:
    """The fastest of a few runs of a training step, in seconds, without the first, which compiles.

    Args:
        step: Runs one to its end.
    """
    for _ in range(WARM_UP_STEPS):
        step()
    fastest = math.inf
    for _ in range(TIMED_STEPS):
        began = time.perf_counter()
        step()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest


def fastest_precision(seconds: Mapping[str, float]) -> tuple[str, str]:
    """The precision to train in, and why.

    Args:
        seconds: What a step takes in each; float32 among them.

    Example:
        >>> fastest_precision({"float32": 0.2, "mixed_bfloat16": 0.1})
        ('mixed_bfloat16', 'a step takes 0.1 s, and 0.2 s in float32')
    """
    name = min(seconds, key=seconds.__getitem__)
    exact = seconds[FLOAT32]
    if exact / seconds[name] < LEAST_GAIN:
        others = ", ".join(f"{x:.2g} s in {n}" for n, x in seconds.items() if n != FLOAT32)
        return FLOAT32, f"a step takes {exact:.2g} s, and {others}"
    return name, f"a step takes {seconds[name]:.2g} s, and {exact:.2g} s in float32"
