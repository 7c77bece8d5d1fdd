"""The options of the main job: checked when they are given, kept in `run.json`."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from toolkit.data.manifest import is_manifest
from toolkit.data.mix import check_mix
from toolkit.data.source import Source
from toolkit.data.splits import check_fractions
from toolkit.errors import OptionError, UnknownNameError
from toolkit.training import schedules
from toolkit.training.imbalance import check_imbalance
from toolkit.training.losses import check_loss
from toolkit.training.monitor import check_monitor
from toolkit.training.optimization import Optimization
from toolkit.training.optimizer_entries import find_optimizer

LARGEST_IMAGE = 178_956_970
"""Pillow itself refuses images with more pixels."""

AUTO = "auto"
"""The learning rate that a range test suggests."""

LARGEST_RATE = 10**9

LARGEST_NUMBER = 2**31 - 1
"""Beyond it, seeds and sizes do not fit where they go."""

NO_STAGES, ALL_STAGES = "none", "all"


@dataclass(frozen=True)
class FinetuneOptions:
    """What decides a run's result; `toolkit.finetune` explains each."""

    data: Source
    backbone: str
    weights: str
    image_size: int | tuple[int, int] | None
    crop: str
    normalize: str
    split: Sequence[float] | str
    unfreeze: int | str
    unfreeze_gradually: bool
    stage_factor: float
    train_batchnorm: bool
    epochs: int
    batch_size: int
    learning_rate: float | str
    monitor: str
    min_delta: float
    patience: int
    time_budget: float | None
    tensorboard: str | None
    dropout: float
    weight_decay: float
    optimizer: str
    schedule: str
    warmup: float | None
    clip_norm: float
    ema: float
    loss: str
    label_smoothing: float
    augment: str
    mix: str
    imbalance: str
    views: int | None
    engine: str
    cache_size: int
    max_pixels: int
    seed: int

    def __post_init__(self) -> None:
        check_fractions(self.split)
        check_whole("--epochs", self.epochs, 0)
        check_whole("--batch-size", self.batch_size, 1)
        check_whole("--patience", self.patience, 1)
        check_whole("--seed", self.seed, 0)
        if self.views is not None:
            check_whole("--views", self.views, 0)
        check_mix(self.mix, self.views)
        check_imbalance(self.imbalance)
        check_monitor(self.monitor)
        check_learning_rate(self.learning_rate)
        self._check_optimization()
        _check("--min-delta", "from 0 to 1,000", self.min_delta, 0, 1000)
        _check("--stage-factor", "above 0 and at most 1", self.stage_factor, 1e-12, 1)
        _check("--dropout", "from 0 up to, not including, 1", self.dropout, 0, 1 - 1e-9)
        _check("--weight-decay", "from 0 to 1", self.weight_decay, 0, 1)
        _check("--max-pixels", f"from 1 to {LARGEST_IMAGE:,}", self.max_pixels, 1, LARGEST_IMAGE)

    @property
    def compared(self) -> dict[str, Any]:
        """What a resumed run must have had as well: all but how long it may take, and its log."""
        options = asdict(self)
        return {name: value for name, value in options.items() if name not in _MAY_DIFFER}

    def optimization(self, learning_rate: float) -> Optimization:
        """How weights are trained, with the learning rate that was found or given."""
        values = {field.name: getattr(self, field.name) for field in fields(Optimization)}
        return Optimization(**{**values, "learning_rate": learning_rate})

    def _check_optimization(self) -> None:
        find_optimizer(self.optimizer)
        schedules.get(self.schedule)
        check_loss(self.loss)
        check_warmup(self.warmup)
        _check("--clip-norm", "0 or more", self.clip_norm, 0, LARGEST_NUMBER)
        _check("--ema", "from 0 up to, not including, 1", self.ema, 0, 1 - 1e-9)
        _check(
            "--label-smoothing", "from 0 up to, not including, 1", self.label_smoothing, 0, 1 - 1e-9
        )
        if self.schedule == schedules.PLATEAU and self.patience <= schedules.PLATEAU_PATIENCE:
            waits = schedules.PLATEAU_PATIENCE
            rule = (
                f"above {waits} with --schedule plateau, which lowers the rate after {waits} epochs"
            )
            raise OptionError("--patience", rule, self.patience)


_MAY_DIFFER = ("time_budget", "tensorboard")


def check_learning_rate(value: float | str) -> None:
    """Refuses what is no learning rate. One that is far too high is found out by training."""
    rule = f"above 0 and at most {LARGEST_RATE:,}, or {AUTO}"
    if value == AUTO:
        return
    if isinstance(value, str):
        raise OptionError("--learning-rate", rule, value)
    _check("--learning-rate", rule, value, 1e-12, LARGEST_RATE)


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
        _check("--warmup", "from 0 to 1", value, 0, 1)


def _check(name: str, rule: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN fails, too.
        raise OptionError(name, rule, value)


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
