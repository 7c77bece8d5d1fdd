"""Variants: what options of `toolkit finetune` change, gains and losses alike.

- *default*: `toolkit finetune`, with the size of the images that was given.
- *--ema*, and so on: the same with that one option, and all others as they are by default.

The rounds are the seeds 0, 1, 2, ..., which also share out the photos anew; all variants see the
same photos with the same seed. Validation chose between the probe and the fine-tuned network; the
test photos were measured once, at the end of each training.
"""

from typing import Any

from benchmarks.folders import own_cache
from benchmarks.images import describe, read_table
from benchmarks.outcome import Outcome
from benchmarks.settings import Settings
from benchmarks.trainings import accuracy, figures, finetuning, means, train_all

DEFAULT = "default"
VARIANTS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "--stage-factor 0.5": {"stage_factor": 0.5},
    "--unfreeze-gradually": {"unfreeze_gradually": True},
    "--ema": {"ema": 0.99},
    "--label-smoothing 0.1": {"label_smoothing": 0.1},
    "--mix mixup": {"mix": "mixup"},
    "--precision mixed_bfloat16": {"precision": "mixed_bfloat16"},
}


def run(settings: Settings) -> Outcome:
    """Trains with each variant and seed."""
    data = describe(read_table(settings))
    with own_cache():
        records = train_all(
            settings,
            {name: finetuning(settings, **options) for name, options in VARIANTS.items()},
        )
    return Outcome(
        data,
        [
            figures(records, "Test accuracy", "%", accuracy),
            figures(records, "Test loss", "nats", lambda record: record["loss"]),
        ],
        notes=[means(records, accuracy, "test accuracy (%)")],
    )
