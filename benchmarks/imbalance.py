"""Imbalance: classes made 20 to 1 uneven, with `--imbalance` and without.

Of the first class all training photos are kept, of the last one in twenty, of those between in
equal ratios; validation and test photos stay as they are.

- *--imbalance none*: as they are.
- *--imbalance auto*: where classes are so uneven, `logit-adjustment`: the classifier learns how the
  images of each class look, and not how frequent it is.
- *--imbalance class-weights*: every class counts the same in the loss.

Macro-F1 is the mean over classes, whatever their size. The rounds are the seeds 0, 1, 2, ..., which
share out the photos anew.
"""

from pathlib import Path

import toolkit
from benchmarks.folders import own_cache
from benchmarks.images import describe, read_table
from benchmarks.outcome import Outcome
from benchmarks.settings import Settings
from benchmarks.trainings import accuracy, figures, finetuning, means, train_all
from recipes._subsets import thinned

RATIO = 20
WAYS = ("none", "auto", "class-weights")


def run(settings: Settings) -> Outcome:
    """Trains in each way with each seed."""

    def source(seed: int, folder: Path) -> toolkit.Source:
        return thinned(settings.data, folder, RATIO, seed)

    data = describe(read_table(settings))
    ways = {f"--imbalance {way}": finetuning(settings, source, imbalance=way) for way in WAYS}
    with own_cache():
        records = train_all(settings, ways)
    return Outcome(
        data,
        [
            figures(records, "Macro-F1 of the test photos", "0 to 1", lambda r: r["macro_f1"]),
            figures(records, "Test accuracy", "%", accuracy),
        ],
        notes=[means(records, lambda record: record["macro_f1"], "macro-F1")],
    )
