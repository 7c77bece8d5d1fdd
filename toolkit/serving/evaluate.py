"""Measures a saved classifier on labelled images."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.table import TEST, ImageTable, Problem
from toolkit.errors import (
    AllSeenError,
    NoImagesError,
    NotWritableError,
)
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.progress import Reporter
from toolkit.serving import records
from toolkit.serving.bundle import write_json
from toolkit.serving.loaded import Classifier
from toolkit.serving.prediction import Prediction
from toolkit.serving.splits import read_splits


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        metrics: As a part of `metrics.json`: n, accuracy, accuracy_ci95, loss, macro_f1, per_class;
            of a model that rejects what it is unsure of, selective.
        seen: Images that were left out because the model was trained or chosen on them.
        problems: Files that could not be read.
    """

    metrics: dict[str, Any]
    seen: int
    problems: list[Problem]


def evaluate(
    model: str | os.PathLike[str] | Classifier,
    data: str | os.PathLike[str] | Source,
    *,
    output: str | os.PathLike[str] | None = None,
    include_seen: bool = False,
    engine: str = "auto",
    quiet: bool = False,
) -> Evaluation:
    """Measures a saved classifier on labelled images that it has not seen.

    Classes are matched by name. Images that the model was trained on, or chosen by, are recognized
    by their content and left out, whatever they are called now: on the folder that the model was
    made from, what is measured is its test split.

    Args:
        model: A classifier, or the path of one: `models/NAME` (its newest version) or
            `models/NAME/VERSION`.
        data: A `toolkit.Source`, or its location alone.
        output: A folder for `metrics.json`, `predictions.csv`, `confusion_matrix.png` and
            `mistakes.png`; by default nothing is written.
        include_seen: Measure on all images, also those of the training and validation splits.
        engine: What runs the network, where `model` is a path; see `toolkit.Classifier`.
        quiet: Show no progress.

    Raises:
        UnknownClassesError: The data has a class that the model does not know.
        AllSeenError: The model has seen every image.
        NoImagesError: No image can be read.
    """
    classifier = model if isinstance(model, Classifier) else Classifier(model, engine)
    reporter = Reporter(quiet)
    listing, name = list_source(data, reporter.progress), as_source(data).location
    listing.check_known(classifier.classes)
    table = scan(listing, classifier.max_pixels, reporter.progress)
    table, seen = _match(table, classifier, include_seen)
    if seen:
        reporter.say(f"Left out: {seen:,} images that the model was trained on or chosen by.")
    if not len(table):
        raise AllSeenError(name) if seen else NoImagesError(name)
    table, probabilities = _predict(table, classifier, reporter)
    reporter.problems(table.problems, "the result's `problems`")
    if not len(table):
        raise NoImagesError(name)
    metrics = measure(table.labels, probabilities, classifier.classes, classifier.reject_below)
    if output is not None:
        _write(metrics, table, probabilities, Path(output).expanduser())
    return Evaluation(metrics, seen, table.problems)


def _match(table: ImageTable, classifier: Classifier, include_seen: bool) -> tuple[ImageTable, int]:
    """Gives the table the model's classes, and leaves out what the model has seen."""
    table = table.with_classes(classifier.classes)
    splits = [] if include_seen else read_splits(classifier.bundle)
    known = {row.digest for row in splits if row.split != TEST}
    new = np.array([digest not in known for digest in table.digests], bool)
    return table.rows(new), int((~new).sum())


def _predict(
    table: ImageTable, classifier: Classifier, reporter: Reporter
) -> tuple[ImageTable, np.ndarray]:
    files = [table.file(row) for row in range(len(table))]
    results = list(reporter.progress(classifier.predict_each(files), len(files), "Predicting"))
    problems = [
        Problem(path, result.reason)
        for path, result in zip(table.paths, results, strict=True)
        if isinstance(result, Problem)
    ]
    rows = [result.probabilities for result in results if isinstance(result, Prediction)]
    return table.without(problems), np.array(rows, np.float32)


def _write(
    metrics: dict[str, Any], table: ImageTable, probabilities: np.ndarray, folder: Path
) -> None:
    with naming_full_disk("the evaluation", folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritableError("--output", folder, error) from error
        records.write_predictions(table, table.classes, probabilities, folder / "predictions.csv")
        records.draw_results(table, table.classes, probabilities, folder)
        write_json(folder / "metrics.json", metrics)
