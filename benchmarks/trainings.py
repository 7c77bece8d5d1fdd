"""Whole trainings, one after another with the same seeds, and how their figures compare."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import keras

import toolkit
from benchmarks.folders import temporary_folder
from benchmarks.outcome import Comparison, compare
from benchmarks.settings import Settings
from toolkit.result import FinetuneResult

Record = dict[str, Any]
Training = Callable[[int, Path], Record]
"""Trains with a seed, in a folder for whatever it writes; gives test metrics and `seconds`."""


Measure = Callable[[FinetuneResult, Path], Record]
"""Further figures of a training, with a folder for whatever that writes."""


def finetuning(
    settings: Settings, source: Any = None, also: Measure | None = None, **options: Any
) -> Training:
    """A training by `toolkit.finetune`.

    Args:
        settings: The command's.
        source: Makes the source out of the seed and a folder; by default that of the settings.
        also: Measures more.
        options: Of `finetune`.
    """

    def train(seed: int, folder: Path) -> Record:
        data = settings.data if source is None else source(seed, folder)
        began = time.perf_counter()
        asked = {"models_dir": folder, "seed": seed, **shared(settings), **options}
        result = toolkit.finetune(data, settings.backbone, **asked)
        metrics = result.metrics
        return metrics["test"] | {
            "seconds": time.perf_counter() - began,
            "validation": metrics["validation"]["accuracy"],
            "chosen": metrics["chosen"],
            **({} if also is None else also(result, folder)),
        }

    return train


def shared(settings: Settings) -> dict[str, Any]:
    """Options that all trainings have."""
    epochs = {} if settings.epochs is None else {"epochs": settings.epochs}
    return {
        "weights": settings.weights,
        "image_size": settings.image_size,
        "quiet": True,
        "name": "trained",
        **epochs,
    }


def train_all(settings: Settings, trainings: Mapping[str, Training]) -> dict[str, list[Record]]:
    """Runs each with as many seeds as there are repetitions, one after another from the first."""
    records: dict[str, list[Record]] = {name: [] for name in trainings}
    for seed in range(settings.seed, settings.seed + settings.repetitions):
        for name, train in trainings.items():
            keras.backend.clear_session()
            with temporary_folder() as folder:
                record = train(seed, folder)
            records[name].append(record)
            settings.say(
                f"seed {seed}, {name}: {record['accuracy']:.2%} of {record['n']} test photos, "
                f"macro-F1 {record['macro_f1']:.3f}, {record['seconds']:.0f} s"
            )
    return records


def figures(
    records: Mapping[str, list[Record]], title: str, unit: str, value: Callable[[Record], float]
) -> Comparison:
    """A figure of each training and seed."""
    values = {name: [value(record) for record in each] for name, each in records.items()}
    return compare(title, unit, values)


def means(records: Mapping[str, list[Record]], value: Callable[[Record], float], what: str) -> str:
    """Means over the seeds in a line."""
    parts = [f"{name} {mean(map(value, each)):.4g}" for name, each in records.items()]
    return f"Mean {what}: {', '.join(parts)}."


def by_seed(
    records: Mapping[str, list[Record]], value: Callable[[Record], float], what: str
) -> str:
    """The figures of all seeds in a line."""
    parts = [
        f"{name} {', '.join(f'{value(record):.4g}' for record in each)}"
        for name, each in records.items()
    ]
    return f"{what}, seed by seed: {'; '.join(parts)}."


def accuracy(record: Record) -> float:
    """Of the test photos, in percent."""
    return 100 * record["accuracy"]
