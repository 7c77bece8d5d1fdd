"""The options of jobs: checked when they are given, kept in `run.json`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from toolkit.classifier.head import Head
from toolkit.data.mix import NONE, check_mix
from toolkit.data.source import Source
from toolkit.data.splits import check_fractions
from toolkit.errors import OptionError
from toolkit.option_checks import (
    LARGEST_NUMBER,
    NO_STAGES,
    check_learning_rate,
    check_range,
    check_reject_below,
    check_swa,
    check_warmup,
    check_whole,
)
from toolkit.training import schedules
from toolkit.training.distillation import check_distillation
from toolkit.training.imbalance import check_imbalance
from toolkit.training.length import default_epochs, default_patience, default_rate
from toolkit.training.losses import check_loss
from toolkit.training.monitor import check_monitor
from toolkit.training.optimization import Optimization, check_precision
from toolkit.training.optimizer_entries import find_optimizer

LARGEST_IMAGE = 178_956_970
"""Pillow itself refuses images with more pixels."""

_MAY_DIFFER = ("time_budget", "tensorboard", "calibrate", "reject_below")


@dataclass(frozen=True)
class FeatureOptions:
    """What jobs have in common: features and splits of images, and what is made of the result."""

    data: Source
    backbone: str
    weights: str
    image_size: int | tuple[int, int] | None
    crop: str
    normalize: str
    pooling: str
    split: Sequence[float] | str
    calibrate: bool
    reject_below: float
    engine: str
    cache_size: int
    max_pixels: int
    seed: int

    def __post_init__(self) -> None:
        check_fractions(self.split)
        check_whole("--seed", self.seed, 0)
        limit = LARGEST_IMAGE
        check_reject_below(self.reject_below)
        check_range("--max-pixels", f"from 1 to {limit:,}", self.max_pixels, 1, limit)


@dataclass(frozen=True)
class ClassifyOptions(FeatureOptions):
    """What decides the result of `toolkit.classify`, which explains each."""

    classifier: str
    layer: str | None


@dataclass(frozen=True)
class FinetuneOptions(FeatureOptions):
    """What decides the result of `toolkit.finetune`, which explains each."""

    unfreeze: int | str
    unfreeze_gradually: bool
    stage_factor: float
    train_batchnorm: bool
    epochs: int | None
    batch_size: int
    learning_rate: float | str | None
    monitor: str
    min_delta: float
    patience: int | None
    time_budget: float | None
    tensorboard: str | None
    dropout: float
    weight_decay: float
    optimizer: str
    schedule: str
    warmup: float | None
    clip_norm: float
    ema: float
    swa: float
    loss: str
    label_smoothing: float
    precision: str
    head: str
    head_layers: int | None
    head_width: int | None
    activation: str | None
    head_batchnorm: bool
    initializer: str | None
    l1: float
    l2: float | None
    augment: str
    mix: str
    imbalance: str
    views: int | None
    teacher: str | None
    teacher_share: float
    teacher_temperature: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None:
            check_whole("--epochs", self.epochs, 0)
        check_whole("--batch-size", self.batch_size, 1)
        if self.patience is not None:
            check_whole("--patience", self.patience, 1)
        if self.views is not None:
            check_whole("--views", self.views, 0)
        check_mix(self.mix, self.views)
        mixed = self.mix != NONE
        check_distillation(self.teacher, self.teacher_share, self.teacher_temperature, mixed)
        check_imbalance(self.imbalance)
        check_monitor(self.monitor)
        check_range("--min-delta", "from 0 to 1,000", self.min_delta, 0, 1000)
        self._check_stages()
        self._check_optimization()
        self._check_head()

    @property
    def compared(self) -> dict[str, Any]:
        """What a resumed run must have had as well: all that decides how it is trained."""
        options = asdict(self)
        return {name: value for name, value in options.items() if name not in _MAY_DIFFER}

    @property
    def network_head(self) -> Head:
        """What is put on the backbone."""
        return Head(
            kind=self.head,
            layers=self.head_layers,
            width=self.head_width,
            activation=self.activation,
            batchnorm=self.head_batchnorm,
            initializer=self.initializer,
            l1=self.l1,
            l2=self.l2,
        )

    def epochs_for(self, images: int) -> int:
        """How many epochs there are at most, with so many training images."""
        return default_epochs(images, self.batch_size) if self.epochs is None else self.epochs

    def patience_for(self, images: int) -> int:
        """After how many epochs without a gain training stops, with so many training images."""
        planned = self.schedule not in schedules.UNPLANNED
        own = default_patience(self.epochs_for(images), planned)
        return own if self.patience is None else self.patience

    def rate_for(self, images: int) -> float:
        """The highest learning rate where none is given, with so many training images."""
        return default_rate(find_optimizer(self.optimizer).learning_rate, images, self.batch_size)

    def optimization(self, learning_rate: float, precision: str) -> Optimization:
        """How weights are trained, with the learning rate and precision found or given."""
        values = {field.name: getattr(self, field.name) for field in fields(Optimization)}
        found = {"learning_rate": learning_rate, "precision": precision}
        return Optimization(**{**values, **found})

    def _check_stages(self) -> None:
        check_range("--stage-factor", "above 0 and at most 1", self.stage_factor, 1e-12, 1)
        of_stages = {
            "--unfreeze-gradually": self.unfreeze_gradually,
            "--stage-factor": self.stage_factor if self.stage_factor != 1 else None,
            "--train-batchnorm": self.train_batchnorm,
        }
        for name, value in of_stages.items():
            if value and self.unfreeze in (0, NO_STAGES):
                rule = "left out with --unfreeze none, which trains the head alone"
                raise OptionError(name, rule, value)

    def _check_optimization(self) -> None:
        share = "from 0 up to, not including, 1"
        find_optimizer(self.optimizer)
        schedules.get(self.schedule)
        check_loss(self.loss)
        check_precision(self.precision)
        if self.learning_rate is not None:
            check_learning_rate(self.learning_rate)
        check_warmup(self.warmup)
        check_range("--weight-decay", "from 0 to 1", self.weight_decay, 0, 1)
        check_range("--clip-norm", "0 or more", self.clip_norm, 0, LARGEST_NUMBER)
        check_range("--ema", share, self.ema, 0, 1 - 1e-9)
        check_swa(self.swa, self.schedule)
        self._check_beside_swa()
        check_range("--label-smoothing", share, self.label_smoothing, 0, 1 - 1e-9)
        check_range("--dropout", share, self.dropout, 0, 1 - 1e-9)
        waits = schedules.PLATEAU_PATIENCE
        patience = default_patience(0, planned=False) if self.patience is None else self.patience
        if self.schedule == schedules.PLATEAU and patience <= waits:
            rule = (
                f"above {waits} with --schedule plateau, which lowers the rate after {waits} epochs"
            )
            raise OptionError("--patience", rule, self.patience)

    def _check_beside_swa(self) -> None:
        statistics = "whose statistics would have to be measured anew for averaged weights"
        excluded = {
            "--ema, which is another average": self.ema,
            f"--train-batchnorm, {statistics}": self.train_batchnorm,
            f"--head-batchnorm, {statistics}": self.head_batchnorm,
        }
        for option, given in excluded.items():
            if self.swa and given:
                raise OptionError("--swa", f"left out with {option}", self.swa)

    def _check_head(self) -> None:
        head = self.network_head
        for name, number in (("--head-layers", head.layers), ("--head-width", head.width)):
            if number is not None:
                check_whole(name, number, 1)
        check_range("--l1", "from 0 to 1", self.l1, 0, 1)
        check_range("--l2", "from 0 to 1", self.l2 or 0, 0, 1)
