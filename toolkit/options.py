"""The options of the main job: checked when they are given, kept in `run.json`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.classifier.head import Head
from toolkit.data.manifest import is_manifest
from toolkit.data.mix import check_mix
from toolkit.data.source import Source
from toolkit.data.splits import check_fractions
from toolkit.errors import OptionError
from toolkit.training.class_weights import check_class_weights

LARGEST_IMAGE = 178_956_970
"""Pillow itself refuses images with more pixels."""

LARGEST_NUMBER = 2**31 - 1
"""Beyond it, seeds and sizes do not fit where they go."""


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
    unfreeze: int
    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    dropout: float
    weight_decay: float
    head: str
    head_layers: int | None
    head_width: int | None
    activation: str | None
    head_batchnorm: bool
    initializer: str | None
    l1: float
    l2: float | None
    pooling: str
    augment: str
    mix: str
    class_weights: str
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
        check_class_weights(self.class_weights)
        _check("--learning-rate", "above 0 and at most 1", self.learning_rate, 1e-12, 1)
        _check("--dropout", "from 0 up to, not including, 1", self.dropout, 0, 1 - 1e-9)
        _check("--weight-decay", "from 0 to 1", self.weight_decay, 0, 1)
        _check("--l1", "from 0 to 1", self.l1, 0, 1)
        _check("--l2", "from 0 to 1", self.l2 or 0, 0, 1)
        check_hidden(self.network_head)
        _check("--max-pixels", f"from 1 to {LARGEST_IMAGE:,}", self.max_pixels, 1, LARGEST_IMAGE)

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


@dataclass(frozen=True)
class ClassifyOptions:
    """What decides the result of `toolkit.classify`, which explains each."""

    data: Source
    backbone: str
    classifier: str
    layer: str | None
    pooling: str
    weights: str
    image_size: int | tuple[int, int] | None
    crop: str
    split: Sequence[float] | str
    engine: str
    cache_size: int
    max_pixels: int
    seed: int

    def __post_init__(self) -> None:
        check_fractions(self.split)
        check_whole("--seed", self.seed, 0)
        _check("--max-pixels", f"from 1 to {LARGEST_IMAGE:,}", self.max_pixels, 1, LARGEST_IMAGE)


def check_hidden(head: Head) -> None:
    """Refuses a number of hidden layers, or of their units, that no head can have."""
    for name, number in (("--head-layers", head.layers), ("--head-width", head.width)):
        if number is not None:
            check_whole(name, number, 1)


def check_unfreeze(unfreeze: int, stages: list[str]) -> None:
    """Refuses a number of stages that the backbone has not got."""
    check_whole("--unfreeze", unfreeze, 0)
    if unfreeze > len(stages):
        rule = f"at most {len(stages)}, the backbone's stages ({', '.join(stages)})"
        raise OptionError("--unfreeze", rule, unfreeze)


def check_whole(name: str, value: int, low: int) -> None:
    """Refuses what is no whole number, or too small or large."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= LARGEST_NUMBER:
        raise OptionError(name, f"a whole number from {low} to {LARGEST_NUMBER:,}", value)


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
