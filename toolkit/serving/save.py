"""Writes a bundle aside, checks it, and publishes it."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.data.policies import NONE
from toolkit.data.prepare import Preparation
from toolkit.data.table import TEST, TRAIN, ImageTable
from toolkit.data.views import Views
from toolkit.evaluation import pictures
from toolkit.progress import Progress
from toolkit.serving import records
from toolkit.serving.bundle import EXTRA, Bundle, publish, write_json
from toolkit.serving.export import export_saved_model
from toolkit.serving.parity import check_parity

PARITY_IMAGES = 64
STEPS = 4


@dataclass(frozen=True)
class Trained:
    """A trained classifier and all that its bundle tells of it.

    Attributes:
        model: float32 [N, H, W, 3], values 0 to 255, to probabilities [N, K]; of an ensemble, from
            an input for each of its preparations.
        table: All images with their splits.
        preparation: What was done to them; of an ensemble, all distinct ones of its members.
        metrics: The content of `metrics.json`.
        history: A row for each epoch.
        test_probabilities: The model's for the test split, float32 [N, K].
        run: The content of `run.json`, but for `reject_below` and `export_difference`.
        reject_below: The exported model gives no label where the highest probability is lower.
        complete: What is left to do once all else is in the bundle's folder, which it takes. Adds
            to `metrics` what only the exported model tells.
    """

    model: keras.Model
    table: ImageTable
    preparation: Preparation | tuple[Preparation, ...]
    metrics: dict[str, Any]
    history: list[dict[str, float]]
    test_probabilities: np.ndarray
    run: dict[str, Any]
    reject_below: float = 0.0
    complete: Callable[[dict[str, Any], Path], dict[str, Any]] = lambda metrics, _: metrics


def save_bundle(trained: Trained, working: Path, folder: Path, progress: Progress) -> Bundle:
    """Saves a classifier as the next version in a model's folder.

    Args:
        trained: What is saved.
        working: A folder on the same disk in which the bundle is made; it need not exist.
        folder: The model's, `models/NAME`.
        progress: Shows how far it is.

    Raises:
        ParityError: The exported model does not give the trained one's probabilities; nothing is
            published.
    """
    shutil.rmtree(working, ignore_errors=True)
    try:
        for _ in progress(_steps(trained, working), STEPS, "Saving"):
            pass
        return publish(working, folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)  # Only there if it was not published.


def _steps(trained: Trained, working: Path) -> Iterator[None]:
    """Makes the bundle, and yields after each step."""
    export_saved_model(
        trained.model,
        trained.table.classes,
        trained.preparation,
        working,
        trained.reject_below,
    )
    yield
    extra = working / EXTRA
    extra.mkdir()
    with ThreadPoolExecutor(1) as pool:  # The check waits for another process.
        difference = pool.submit(_check_parity, trained, working)
        trained.model.save(extra / "model.keras")
        _write_records(trained, extra)
        yield
        _draw(trained, extra)
        yield
    write_json(extra / "metrics.json", trained.complete(trained.metrics, working))
    found = {"reject_below": trained.reject_below, "export_difference": difference.result()}
    write_json(extra / "run.json", {**trained.run, **found})
    yield


def _check_parity(trained: Trained, saved_model: Path) -> float:
    test = trained.table.split(TEST)
    rows = np.unique(np.linspace(0, len(test) - 1, PARITY_IMAGES).astype(int))
    files = [test.file(row) for row in rows]
    return check_parity(saved_model, files, trained.test_probabilities[rows])


def _write_records(trained: Trained, extra: Path) -> None:
    table, classes = trained.table, trained.table.classes
    records.write_splits(table, extra / "splits.csv")
    records.write_problems(table, extra / "problems.csv")
    records.write_history(trained.history, extra / "history.csv")
    probabilities = trained.test_probabilities
    records.write_predictions(table.split(TEST), classes, probabilities, extra / "predictions.csv")


def _draw(trained: Trained, extra: Path) -> None:
    test, classes = trained.table.split(TEST), trained.table.classes
    records.draw_results(test, classes, trained.test_probabilities, extra)
    if isinstance(trained.preparation, Preparation):
        _draw_training(trained, trained.preparation, extra)


def _draw_training(trained: Trained, preparation: Preparation, extra: Path) -> None:
    options, probe = trained.run["options"], trained.metrics["probe"]
    curves = extra / "learning_curves.png"
    pictures.learning_curves(trained.history, probe, curves, trained.run.get("best_epoch", 0))
    views = Views(options.get("augment", NONE), options["seed"], records.DRAWS)
    if views.augment is not None:
        train = trained.table.split(TRAIN)
        path = extra / "augmentations.png"
        records.draw_augmentations(train, preparation, views, path)
