"""Few photos: the probe, fine-tuning and an MLP with 5, 10 and 20 photos of each class.

So many photos of each class are all there is to learn from: one in five of them is validation, all
others train. The test photos are those of a split of the whole source, measured once. The rounds
are the seeds 0, 1, 2, ..., each with other photos.

- *probe*: `toolkit finetune --epochs 0`.
- *random head*, *head of zeros*: fine-tuning of the same network with a head that has not learned
  anything yet.
- *LP-FT, 6 epochs at 3e-4*: the head starts from the probe; always what was tuned, whatever
  validation says. Of so few photos, 6 epochs are 12 to 30 steps.
- *LP-FT*: as many epochs as by default, about 300 steps and at most 60 epochs, at the default
  learning rate for so few photos, 9.5e-4; so are all others.
- *MLP*: a head with a hidden layer, trained alone.
- *MLP, then fine-tuning*: `--head mlp`; always what was tuned.

`toolkit finetune` itself is LP-FT, or the probe, whichever is better on validation. Trainings of so
few photos differ by several points for no reason: only what holds over sizes and seeds counts.
"""

from functools import partial
from pathlib import Path

import toolkit
from benchmarks.folders import own_cache
from benchmarks.images import describe, read_table
from benchmarks.outcome import Comparison, Outcome
from benchmarks.settings import Settings
from benchmarks.trainings import Training, accuracy, figures, finetuning, means, train_all
from benchmarks.tuned import RANDOM, ZEROS, tuned
from recipes._subsets import few_of_each

PHOTOS = (5, 10, 20)


def run(settings: Settings) -> Outcome:
    """Trains in each way with each number of photos and each seed."""
    data = describe(read_table(settings))
    comparisons: list[Comparison] = []
    notes: list[str] = []
    with own_cache():
        for count in PHOTOS:
            records = train_all(settings, _trainings(settings, count))
            title = f"Test accuracy with {count} photos of each class"
            comparisons.append(figures(records, title, "%", accuracy))
            notes.append(f"{count} photos of each class. " + means(records, accuracy, "%"))
    return Outcome(data, comparisons, notes=notes)


def _trainings(settings: Settings, count: int) -> dict[str, Training]:
    def source(seed: int, folder: Path) -> toolkit.Source:
        return few_of_each(settings.data, folder, count, seed)

    whole, always = partial(finetuning, settings, source), partial(tuned, settings, source)
    return {
        "probe": whole(epochs=0),
        "random head": always(head_of=RANDOM),
        "head of zeros": always(head_of=ZEROS),
        "LP-FT, 6 epochs at 3e-4": always(epochs=6, learning_rate=3e-4),
        "LP-FT": always(),
        "MLP": always(head="mlp", epochs=0),
        "MLP, then fine-tuning": always(head="mlp"),
    }
