"""How the learning rate goes over a run: plain functions of the step.

After a warm-up along a line, each falls in its own way. The same functions draw a picture with
NumPy and run inside the training step on any Keras backend: `ops` is `numpy` or `keras.ops`.
"""

import math
import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from toolkit.errors import UnknownNameError

CYCLES = "cosine-cycles-{}"
_CYCLES = re.compile(r"cosine-cycles-([1-9]\d{0,3})")
CONSTANT, COSINE, ONE_CYCLE, PLATEAU = "constant", "cosine", "one-cycle", "plateau"

UNPLANNED = (CONSTANT, PLATEAU)
"""Those that do not know where the run ends: it is patience that ends it."""

WARM_UP = 0.1
"""Share of the run."""

ONE_CYCLE_WARM_UP = 0.45
"""One-cycle's: the first half of the cycle, which takes nine tenths of the run."""

PLATEAU_PATIENCE = 2
"""Epochs without a lower validation loss after which the rate is lowered."""

PLATEAU_FACTOR = 0.2

SWA_RATE = 0.5
"""Share of the highest rate at which averaged weights are gathered: Izmailov et al. 2018, whose own
code has 0.05 after 0.1."""

Fall = Callable[[Any, Any], Any]


def constant(done: Any, ops: Any) -> Any:
    """Stays at 1."""
    return ops.ones_like(done)


def step(done: Any, ops: Any) -> Any:
    """A tenth after each third. See He et al. 2016, "Deep Residual Learning"."""
    return ops.where(done < 1 / 3, 1.0, ops.where(done < 2 / 3, 0.1, 0.01))


def exponential(done: Any, ops: Any) -> Any:
    """Falls to a hundredth, by the same factor in each step."""
    return ops.exp(done * math.log(0.01))


def polynomial(done: Any, ops: Any) -> Any:
    """(1 - done)^0.9, to 0. See Chen et al. 2017, "DeepLab", the "poly" policy."""
    return ops.power(1 - done, 0.9)


def cosine(done: Any, ops: Any) -> Any:
    """Half a cosine, to 0. See Loshchilov and Hutter 2017, "SGDR"."""
    return 0.5 * (1.0 + ops.cos(done * math.pi))


def cosine_restarts(done: Any, ops: Any) -> Any:
    """Three cosines, each twice as long as the one before. See Loshchilov and Hutter 2017."""
    place = 7 * done + 1  # 1 to 2 in the first, to 4 in the second, to 8 in the third.
    length = ops.where(place < 2, 1.0, ops.where(place < 4, 2.0, 4.0))
    return cosine((place - length) / length, ops)


def one_cycle(done: Any, ops: Any) -> Any:
    """Along a line to a tenth, as long as the rise took; then to a thousandth.

    See Smith 2018, "A Disciplined Approach to Neural Network Hyper-Parameters: Part 1". (Momentum
    stays as it is.)
    """
    cycle = ONE_CYCLE_WARM_UP / (1 - ONE_CYCLE_WARM_UP)
    falling = 1 - 0.9 * done / cycle
    ending = 0.1 - 0.099 * (done - cycle) / (1 - cycle)
    return ops.where(done < cycle, falling, ending)


FALLS: MappingProxyType[str, Fall] = MappingProxyType(
    {
        CONSTANT: constant,
        "step": step,
        "exponential": exponential,
        "polynomial": polynomial,
        COSINE: cosine,
        "cosine-restarts": cosine_restarts,
        ONE_CYCLE: one_cycle,
        PLATEAU: constant,  # Times what `plateau_factor` says.
    }
)
"""Each gives the share of the highest rate, of the share of the run after the warm-up: 0 to 1.

"cosine-cycles-N" is one, too, for each number N: so many cosines of the same length, one after
another, each with its own warm-up. See Huang et al. 2017, "Snapshot Ensembles", who have none: they
do not start from pretrained weights, which too high a rate tears up.
"""


def get(name: str) -> Fall:
    """The fall of a name.

    Raises:
        UnknownNameError: There is none.
    """
    if cycles(name):
        return cosine
    if name not in FALLS:
        known = [*FALLS, "cosine-cycles-N"]
        raise UnknownNameError("schedule", name, known, f"There are: {', '.join(known)}.")
    return FALLS[name]


def cycles(name: str) -> int:
    """The N of "cosine-cycles-N"; 0 for other names."""
    found = _CYCLES.fullmatch(name)
    return int(found[1]) if found else 0


def warm_up_steps(name: str, steps: float, warmup: float | None = None) -> int:
    """Steps before the highest rate: at least one, which has it where there is no warm-up.

    Args:
        name: One of `FALLS`.
        steps: Of the whole run, or of the cycle.
        warmup: Share of the run, 0 to 1; by default 0.1, for one-cycle 0.45.
    """
    if warmup is None:
        warmup = ONE_CYCLE_WARM_UP if name == ONE_CYCLE else WARM_UP
    return max(1, int(warmup * steps))


def make_schedule(
    name: str,
    learning_rate: float,
    steps: int,
    warmup: float | None = None,
    ops: Any = np,
    swa: float = 0.0,
) -> Callable[[Any], Any]:
    """Makes the function that gives the learning rate of a step.

    Args:
        name: One of `FALLS`.
        learning_rate: The highest, at the end of the warm-up.
        steps: Of the whole run.
        warmup: Share of the run over which the rate rises along a line (one-cycle: from a tenth of
            the highest; cycles: of each); by default 0.1, for one-cycle 0.45.
        ops: `numpy`, or `keras.ops` where the function is part of a training step.
        swa: Share of the run, at its end, over which the rate stays at half of the highest. Before
            that it falls towards this half, not towards 0. By default there is none.

    Returns:
        A function of steps, floating, counted from 0; it gives rates of the same shape.

    Raises:
        UnknownNameError: There is no such schedule.

    Example:
        >>> rate = make_schedule("cosine", 0.1, steps=110)
        >>> rate(np.array([0.0, 11.0, 60.5, 110.0])).round(4)
        array([0.0091, 0.1   , 0.05  , 0.    ])
    """
    fall, times = get(name), max(1, cycles(name))
    end = steps - round(swa * steps)
    cycle, rise = max(1, end) / times, warm_up_steps(name, steps / times, warmup)
    rest = max(1, cycle - rise)
    # With 0, the first step would be lost.
    first = learning_rate / (10 if name == ONE_CYCLE else rise)

    def rate(step: Any) -> Any:
        place = step - cycle * ops.minimum(ops.floor(step / cycle), times - 1)
        rising = first + (learning_rate - first) * (place / rise)
        done = ops.clip((place - rise) / rest, 0.0, 1.0)
        share = fall(done, ops)
        if swa:
            share = ops.where(step < end, SWA_RATE + (1 - SWA_RATE) * share, SWA_RATE)
        return ops.where(place < rise, rising, learning_rate * share)

    return rate


def plateau_factor(losses: Sequence[float]) -> float:
    """What the rate is multiplied with after epochs with these validation losses.

    A fifth for each two epochs in which none was lower than the lowest before.

    Args:
        losses: Of all epochs so far, or another figure that is to fall; not-a-number is no gain.

    Example:
        >>> plateau_factor([0.9, 0.5, 0.6, 0.5])
        0.2
    """
    lowest, waited, factor = math.inf, 0, 1.0
    for loss in losses:
        lowest, waited = (loss, 0) if loss < lowest else (lowest, waited + 1)
        if waited == PLATEAU_PATIENCE:
            factor, waited = factor * PLATEAU_FACTOR, 0
    return factor
