"""The records and pictures beside a SavedModel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.table import ImageTable
from toolkit.data.thumbnails import thumbnail
from toolkit.data.views import Views, content_numbers
from toolkit.errors import NoImagesError
from toolkit.evaluation import pictures
from toolkit.evaluation.class_changes import TurnedDraw
from toolkit.serving.bundle import write_csv
from toolkit.training.monitor import ACCURACY, CALIBRATED, LOSS, figure

SHOWN_MISTAKES = 24
SHOWN_AUGMENTATIONS = 8
DRAWS = 6


def write_splits(table: ImageTable, path: Path) -> None:
    """Writes `splits.csv`: path, label, split, digest, group."""
    labels = (table.classes[label] for label in table.labels)
    groups = [""] * len(table) if table.groups is None else table.groups
    rows = zip(table.paths, labels, table.splits, table.digests, groups, strict=True)
    write_csv(path, ["path", "label", "split", "digest", "group"], rows)


def write_problems(table: ImageTable, path: Path) -> None:
    """Writes `problems.csv`: the files that were left out, and why."""
    rows = ((problem.path, problem.reason) for problem in table.problems)
    write_csv(path, ["path", "reason"], rows)


def write_predictions(
    table: ImageTable, classes: list[str], probabilities: np.ndarray, path: Path
) -> None:
    """Writes `predictions.csv`: path, label, predicted, one column for each class."""
    predicted = probabilities.argmax(axis=1)
    columns = zip(table.paths, table.labels, predicted, probabilities, strict=True)
    rows = ([p, classes[t], classes[y], *map("{:.7g}".format, row)] for p, t, y, row in columns)
    write_csv(path, ["path", "label", "predicted", *classes], rows)


def write_history(history: list[dict[str, Any]], path: Path) -> None:
    """Writes `history.csv`: a row for each epoch."""
    validated = [f"val_{figure(name)}" for name in (LOSS, ACCURACY, CALIBRATED)]
    header = ["epoch", "loss", "accuracy", *validated, "learning_rate"]
    write_csv(path, header, ([row[name] for name in header] for row in history))


def draw_results(
    table: ImageTable, classes: list[str], probabilities: np.ndarray, folder: Path
) -> None:
    """Draws `confusion_matrix.png` and `mistakes.png`: what was measured on a table's images."""
    predicted = probabilities.argmax(axis=1)
    pictures.confusion_matrix(table.labels, predicted, classes, folder / "confusion_matrix.png")
    wrong = pictures.most_confident_mistakes(table.labels, probabilities)
    shown = wrong[:SHOWN_MISTAKES]
    pictures.mistakes(
        [thumbnail(table.file(row)) for row in shown],
        list(table.labels[shown]),
        list(predicted[shown]),
        probabilities[shown, predicted[shown]],
        [Path(path).name for path in table.paths[shown]],
        classes,
        folder / "mistakes.png",
        n=len(table),
        n_mistakes=len(wrong),
    )


def draw_augmentations(
    table: ImageTable,
    preparation: Preparation,
    views: Views,
    path: Path,
    count: int = SHOWN_AUGMENTATIONS,
    turned: Sequence[tuple[str, Sequence[pictures.TurnedPair]]] = (),
) -> None:
    """Draws some images, from all over a table, each with its views as training sees them.

    Below, what `turned` gives (see `toolkit.evaluation.pictures.augmentations`).

    Raises:
        NoImagesError: None of them can be decoded.
    """
    shown = table.rows(np.unique(np.linspace(0, len(table) - 1, count).astype(int)))
    batches = list(image_batches(shown, preparation, count))
    if not batches:
        raise NoImagesError(table.root)
    rows, images = (np.concatenate(each) for each in zip(*batches, strict=True))
    rows, images = np.sort(rows), images[np.argsort(rows)]
    contents = content_numbers(shown)[rows]
    draws = [_bytes(views.draw(images, contents, number)) for number in range(views.count)]
    drawn = [list(row) for row in zip(*draws, strict=True)]
    pictures.augmentations(list(_bytes(images)), drawn, path, turned)


def turned_pairs(
    table: ImageTable, preparation: Preparation, views: Views, draws: Sequence[TurnedDraw]
) -> list[pictures.TurnedPair]:
    """Images and what was drawn of them, where that is taken for another class.

    Args:
        table: The images that were tested.
        preparation: How they are made ready to be drawn from.
        views: What draws.
        draws: Which are shown.
    """
    rows = sorted({draw.image for draw in draws})
    some = table.rows(np.array(rows, np.int64))
    contents = content_numbers(some)
    originals = {
        rows[row]: (images[k : k + 1], contents[row : row + 1])
        for at, images in image_batches(some, preparation, len(rows))
        for k, row in enumerate(at)
    }
    return [
        pictures.TurnedPair(
            _bytes(originals[draw.image][0])[0],
            _bytes(views.draw(*originals[draw.image], draw.number))[0],
            draw.label,
            draw.other,
            draw.probability,
        )
        for draw in draws
    ]


def _bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(images).astype(np.uint8)
