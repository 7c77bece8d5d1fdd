"""`toolkit schedule`: what the learning rate will do, before any training."""

import os
from pathlib import Path

import numpy as np

from toolkit.evaluation.pictures.schedules import schedules
from toolkit.option_checks import check_learning_rate, check_swa, check_warmup, check_whole
from toolkit.output_files import drawn_to, picture_path
from toolkit.training.optimizer_entries import ADAMW, find_optimizer
from toolkit.training.schedules import FALLS, PLATEAU, make_schedule, plateau_factor

ALL = "all"


def draw_schedule(
    name: str = ALL,
    *,
    epochs: int = 6,
    steps_per_epoch: int = 100,
    learning_rate: float | None = None,
    warmup: float | None = None,
    swa: float = 0.0,
    output: str | os.PathLike[str] = "schedule.png",
) -> Path:
    """Draws the learning rate over a run.

    Of "plateau" it draws the run in which validation never gets better than after its first epoch.

    Args:
        name: Of a schedule, as `toolkit.finetune` takes it; "all": each, side by side.
        epochs: Of the run.
        steps_per_epoch: Training images divided by the batch size, rounded up.
        learning_rate: The highest; by default AdamW's.
        warmup: Share of the run over which the rate rises; by default the schedule's own.
        swa: Share of the run, at its end, over which the rate stays at half of the highest, for
            stochastic weight averaging; "plateau" has no such end.
        output: The PNG file to write.

    Returns:
        The file's path.

    Raises:
        UnknownNameError: There is no such schedule.
        OptionError: A number is impossible.

    Example:
        >>> toolkit.draw_schedule("one-cycle", epochs=12)
        PosixPath('schedule.png')
    """
    check_whole("--epochs", epochs, 1)
    check_whole("--steps-per-epoch", steps_per_epoch, 1)
    check_warmup(warmup)
    check_swa(swa, name)
    if learning_rate is None:
        learning_rate = find_optimizer(ADAMW).learning_rate
    check_learning_rate(learning_rate)
    path = picture_path(output)
    possible = [each for each in FALLS if not (swa and each == PLATEAU)]
    names = possible if name == ALL else [name]
    run = learning_rate, epochs, steps_per_epoch, warmup, swa
    rates = {each: _rates(each, *run) for each in names}
    with drawn_to(path) as temporary:
        schedules(rates, steps_per_epoch, temporary)
    return path


def _rates(
    name: str,
    learning_rate: float,
    epochs: int,
    steps_per_epoch: int,
    warmup: float | None,
    swa: float,
) -> np.ndarray:
    """The learning rate of each step: float64 [steps]."""
    steps = np.arange(epochs * steps_per_epoch, dtype=float)
    rates = make_schedule(name, learning_rate, len(steps), warmup, swa=swa)(steps)
    if name != PLATEAU:
        return rates
    factors = [plateau_factor([1.0] * epoch) for epoch in range(epochs)]
    return rates * np.repeat(factors, steps_per_epoch)
