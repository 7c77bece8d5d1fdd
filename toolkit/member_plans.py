"""Which trainings make the members of an ensemble: each network with each fold and each seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from toolkit.data.folds import fold_splits
from toolkit.data.splits import fix_splits
from toolkit.data.table import TRAIN, ImageTable
from toolkit.errors import MemberError, OptionError
from toolkit.option_checks import check_whole
from toolkit.options import FinetuneOptions
from toolkit.training.schedules import COSINE, CYCLES

MOST = 100
"""Members that one command makes."""


@dataclass(frozen=True)
class Making:
    """Which trainings there are: each network with each fold and each seed.

    Attributes:
        backbones: The networks.
        folds: How many, or None.
        seeds: How many.
        snapshots: How many each training gives; 1: the best of it.
    """

    backbones: tuple[str, ...]
    folds: int | None = None
    seeds: int = 1
    snapshots: int = 1

    def check(self, schedule: str, epochs: int | None, swa: float) -> None:
        """Refuses what makes no ensemble; the arguments are options of each training.

        Raises:
            OptionError: See above.
        """
        if self.folds is not None:
            check_whole("--folds", self.folds, 2)
        check_whole("--seeds", self.seeds, 1)
        check_whole("--snapshots", self.snapshots, 1)
        if len(set(self.backbones)) < len(self.backbones):
            raise OptionError("--backbone", "different networks", ",".join(self.backbones))
        count = len(self.backbones) * (self.folds or 1) * self.seeds * self.snapshots
        if not 2 <= count <= MOST:
            rule = f"2 to {MOST} in number, by several of --backbone, --folds, --seeds, --snapshots"
            raise MemberError(rule, f"{count}", "Give other numbers, or use `toolkit ensemble`")
        if self.snapshots > 1 and schedule != COSINE:
            rule = f"left out, or {COSINE}, with --snapshots, each of which ends a cosine"
            raise OptionError("--schedule", rule, schedule)
        if self.snapshots > 1 and swa:
            raise OptionError("--swa", "left out with --snapshots, which average no epochs", swa)
        if self.snapshots > 1 and epochs is not None and (epochs == 0 or epochs % self.snapshots):
            rule = f"a multiple of --snapshots {self.snapshots}, as each ends an epoch"
            raise OptionError("--epochs", rule, epochs)


@dataclass(frozen=True)
class Training:
    """One of the trainings.

    Attributes:
        name: What it is called beside the others: "resnet50-fold-1"; "" where there are none.
        options: Its own.
        table: All images, with its splits.
    """

    name: str
    options: FinetuneOptions
    table: ImageTable


def plan_trainings(
    making: Making, asked: Sequence[FinetuneOptions], table: ImageTable
) -> Iterator[Training]:
    """The trainings, each with its options and splits: by backbone, then by fold, then by seed.

    Args:
        making: Which there are.
        asked: The options of each backbone, with the first seed.
        table: All images. All trainings have the test images of the first seed.

    Raises:
        OptionError: A class has fewer images, or groups of them, than there are folds.
    """
    first = asked[0]
    whole = fix_splits(table, first.split, first.seed)
    folds = [whole]
    if making.folds is not None:
        folds = list(fold_splits(whole, making.folds, first.seed))
    seeds = range(first.seed, first.seed + making.seeds)
    for options, (fold, split), seed in product(asked, enumerate(folds, 1), seeds):
        parts = {
            options.backbone: len(asked) > 1,
            f"fold-{fold}": making.folds is not None,
            f"seed-{seed}": making.seeds > 1,
        }
        named = "-".join(part for part, several in parts.items() if several)
        options = replace(options, seed=seed)
        if making.snapshots > 1:
            options = _in_cycles(options, making.snapshots, len(split.split(TRAIN)))
        yield Training(named, options, split)


def _in_cycles(options: FinetuneOptions, cycles: int, images: int) -> FinetuneOptions:
    """The options of a run that ends in so many snapshots: whole epochs each, and no early end."""
    epochs = -(-options.epochs_for(images) // cycles) * cycles
    return replace(options, epochs=epochs, patience=epochs, schedule=CYCLES.format(cycles))
