"""Checks of options, each with one line for people."""

import re
from numbers import Real
from pathlib import Path

from toolkit.data.manifest import is_manifest
from toolkit.errors import OptionError, UnknownNameError
from toolkit.training.schedules import PLATEAU

AUTO = "auto"
"""The learning rate that a range test suggests."""

LARGEST_RATE = 10**9

LARGEST_NUMBER = 2**31 - 1
"""Beyond it, seeds and sizes do not fit where they go."""

NO_STAGES, ALL_STAGES = "none", "all"


def check_learning_rate(value: float | str) -> None:
    """Refuses what is no learning rate. One that is far too high is found out by training."""
    rule = f"above 0 and at most {LARGEST_RATE:,}, or {AUTO}"
    if value == AUTO:
        return
    if isinstance(value, str):
        raise OptionError("--learning-rate", rule, value)
    check_range("--learning-rate", rule, value, 1e-12, LARGEST_RATE)


def count_unfrozen(unfreeze: int | str, stages: list[str]) -> int:
    """How many of a backbone's top stages are to be trained.

    Args:
        unfreeze: So many; "none" or "all"; or the name of the lowest.
        stages: Their names, from the input up.

    Raises:
        OptionError: It has not got so many.
        UnknownNameError: It has none of that name.

    Example:
        >>> count_unfrozen("conv4", ["conv1", "conv2", "conv3", "conv4", "conv5"])
        2
    """
    if isinstance(unfreeze, str):
        counts = {name: len(stages) - k for k, name in enumerate(stages)}
        counts |= {NO_STAGES: 0, ALL_STAGES: len(stages)}
        if unfreeze not in counts:
            rule = f"--unfreeze takes none, all, a number, or one of {', '.join(stages)}."
            raise UnknownNameError("stage", unfreeze, counts, rule)
        return counts[unfreeze]
    check_whole("--unfreeze", unfreeze, 0)
    if unfreeze > len(stages):
        rule = f"at most {len(stages)}, the backbone's stages ({', '.join(stages)})"
        raise OptionError("--unfreeze", rule, unfreeze)
    return unfreeze


def check_whole(name: str, value: int, low: int) -> None:
    """Refuses what is no whole number, or too small or large."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= LARGEST_NUMBER:
        raise OptionError(name, f"a whole number from {low} to {LARGEST_NUMBER:,}", value)


def check_warmup(value: float | None) -> None:
    """Refuses what is no share of a run; None is the schedule's own."""
    if value is not None:
        check_range("--warmup", "from 0 to 1", value, 0, 1)


def check_swa(value: float, schedule: str) -> None:
    """Refuses what is no share of a run, and a schedule that has no constant end."""
    check_range("--swa", "from 0 up to, not including, 1", value, 0, 1 - 1e-9)
    if value and schedule == PLATEAU:
        rule = f"left out with --schedule {PLATEAU}, which has no constant end"
        raise OptionError("--swa", rule, value)


def check_range(name: str, rule: str, value: float, low: float, high: float) -> None:
    """Refuses what is not from low to high; the rule says so in words."""
    if not low <= value <= high:  # NaN fails, too.
        raise OptionError(name, rule, value)


def check_reject_below(value: float) -> None:
    """Refuses what is no probability below which a classifier may give no answer."""
    rule = "a number from 0 up to, not including, 1"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise OptionError("--reject-below", rule, value)
    check_range("--reject-below", rule, value, 0, 1 - 1e-9)


def model_name(name: str | None, data: str) -> str:
    """The name to save under: as given, or made out of the data's.

    Raises:
        OptionError: It is not a plain folder name.
    """
    if name is None:
        last = data.partition(":")[2] or Path(data).expanduser().absolute().name
        last = Path(last).stem if is_manifest(data) else last
        name = re.sub(r"[^\w.-]+", "-", last).strip("-.") or "classifier"
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise OptionError("--name", "letters, digits, '-', '_' and '.', as one folder's name", name)
    return name
