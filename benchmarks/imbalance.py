"""Imbalance: classes made 20 to 1 uneven, with `--imbalance` and without.

Of the first class all training photos are kept, of the last one in twenty, of those between in
equal ratios; validation and test photos stay as they are.

- *--imbalance none*: as they are.
- *--imbalance auto*: where classes are so uneven, `logit-adjustment`: trained as without, and then
  the logits are lowered by how frequent their classes are, if validation is sure of the gain.
- *--imbalance class-weights*: every class counts the same in the loss.

Macro-F1 is the mean over classes, whatever their size. It is measured on the test photos, and on
all that training and validation have not seen: the test photos, and the training photos that were
taken out. Of these the last class has most, so each class counts the same there. They are several
times as many, and a photo more or less hardly shows. Each round's seed shares out the photos anew.
How `auto` does it, and how the best epoch is found, was settled by looking at seeds 0 to 15; to be
judged by photos that had no say in it, this is measured from `--seed 16` on.
"""

import csv
from pathlib import Path

import toolkit
from benchmarks.folders import own_cache
from benchmarks.images import describe, read_table
from benchmarks.outcome import Outcome
from benchmarks.settings import Settings
from benchmarks.trainings import Record, accuracy, by_seed, figures, finetuning, means, train_all
from recipes._subsets import thinned
from toolkit.result import FinetuneResult

RATIO = 20
WAYS = ("none", "auto", "class-weights")


def run(settings: Settings) -> Outcome:
    """Trains in each way with each seed."""

    def source(seed: int, folder: Path) -> toolkit.Source:
        return thinned(settings.data, folder, RATIO, seed)

    def unseen(result: FinetuneResult, folder: Path) -> Record:
        toolkit.evaluate(result.path, settings.data, output=folder / "unseen", quiet=True)
        return {"unseen_macro_f1": even_macro_f1(folder / "unseen" / "predictions.csv")}

    data = describe(read_table(settings))
    ways = {
        f"--imbalance {way}": finetuning(settings, source, unseen, imbalance=way) for way in WAYS
    }
    with own_cache():
        records = train_all(settings, ways)
    return Outcome(
        data,
        [
            figures(records, "Macro-F1 of all unseen photos", "0 to 1", unseen_macro_f1),
            figures(records, "Macro-F1 of the test photos", "0 to 1", macro_f1),
            figures(records, "Test accuracy", "%", accuracy),
        ],
        notes=[
            by_seed(records, unseen_macro_f1, "Macro-F1 of all unseen photos"),
            means(records, unseen_macro_f1, "macro-F1 of all unseen photos"),
            means(records, macro_f1, "macro-F1 of the test photos"),
        ],
    )


def macro_f1(record: Record) -> float:
    """Of the test photos."""
    return record["macro_f1"]


def unseen_macro_f1(record: Record) -> float:
    """Of all photos that training and validation have not seen."""
    return record["unseen_macro_f1"]


def even_macro_f1(predictions: Path) -> float:
    """Macro-F1 as it would be if every class had as many photos; of a `predictions.csv`."""
    from sklearn.metrics import f1_score  # Only now: it takes a second.
    from sklearn.utils.class_weight import compute_sample_weight

    with open(predictions, newline="") as file:
        rows = list(csv.DictReader(file))
    labels, predicted = ([row[column] for row in rows] for column in ("label", "predicted"))
    weights = compute_sample_weight("balanced", labels)
    return float(f1_score(labels, predicted, average="macro", sample_weight=weights))
