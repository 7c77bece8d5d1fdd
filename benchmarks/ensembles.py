"""Ensembles: three networks, trained on 20 photos of each class, beside each of them alone.

One in five of the photos is validation; the test photos are those of a split of the whole source,
measured once. The rounds are the seeds 0, 1, 2, ..., each with other photos.

- *efficientnet-lite0*, and so on: each as `toolkit finetune` trains it.
- *best member*: the one with the lowest test loss, which is the hardest to beat: known only
  afterwards.
- *ensemble*: `toolkit finetune --backbone A,B,C`, the mean of their probabilities.
- *convex*, *greedy*: `toolkit ensemble --weights`, found on the validation photos.
- *calibrated*: `toolkit ensemble --calibrate --average arithmetic`, the mean scaled by a
  temperature that was found on the validation photos.
- *pupil*: efficientnet-lite0 alone, with the ensemble as teacher (`--teacher`).

The calibration error is the mean difference between how sure an answer is and how often it is
right, over 15 bins (Naeini et al. 2015).
"""

from pathlib import Path
from typing import Any

import keras

import toolkit
from benchmarks.folders import own_cache, temporary_folder
from benchmarks.images import describe, read_table
from benchmarks.outcome import Outcome
from benchmarks.settings import Settings
from benchmarks.trainings import Record, accuracy, figures, means, shared
from recipes._subsets import few_of_each

PHOTOS = 20
BACKBONES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
ENSEMBLE, BEST, PUPIL = "ensemble", "best member", "pupil"
OTHERS: dict[str, dict[str, Any]] = {
    "convex": {"weights": "convex"},
    "greedy": {"weights": "greedy"},
    "calibrated": {"calibrate": True, "average": "arithmetic"},
}


def run(settings: Settings) -> Outcome:
    """Trains the members, and joins them in each way, with each seed."""
    data = describe(read_table(settings))
    records: dict[str, list[Record]] = {}
    with own_cache():
        for seed in range(settings.seed, settings.seed + settings.repetitions):
            keras.backend.clear_session()
            with temporary_folder() as folder:
                for name, record in _measured(settings, seed, folder).items():
                    records.setdefault(name, []).append(record)
                    settings.say(
                        f"seed {seed}, {name}: {record['accuracy']:.2%}, loss {record['loss']:.4f}"
                    )
    together = {name: each for name, each in records.items() if name not in BACKBONES}
    judged = {name: each for name, each in together.items() if name not in (BEST, PUPIL)}
    return Outcome(
        data,
        [
            figures(records, "Test loss", "nats", _loss),
            figures(records, "Test accuracy", "%", accuracy),
            figures(judged, "Calibration error of the test photos", "%", _calibration_error),
        ],
        notes=[
            means(records, _loss, "test loss"),
            means(records, accuracy, "test accuracy (%)"),
        ],
    )


def _measured(settings: Settings, seed: int, folder: Path) -> dict[str, Record]:
    """The test figures of each member, of the best, and of the ensembles."""
    source = few_of_each(settings.data, folder, PHOTOS, seed)
    options: dict[str, Any] = shared(settings) | {"models_dir": folder, "seed": seed}
    result = toolkit.finetune_members(source, backbones=BACKBONES, **options)
    members = [member["test"] for member in result.metrics["members"]]
    paths = [member["path"] for member in result.run["members"]]
    joined = {ENSEMBLE: result.metrics}
    for name, how in OTHERS.items():
        joined[name] = toolkit.ensemble(
            paths, name, models_dir=folder, seed=seed, quiet=True, **how
        ).metrics
    pupil = toolkit.finetune(source, BACKBONES[0], teacher=result.path, **options)
    return {
        **dict(zip(BACKBONES, members, strict=True)),
        BEST: min(members, key=_loss),
        **{
            name: metrics["test"] | {"calibration": metrics["calibration"]["after"]}
            for name, metrics in joined.items()
        },
        PUPIL: pupil.metrics["test"],
    }


def _loss(record: Record) -> float:
    return record["loss"]


def _calibration_error(record: Record) -> float:
    return 100 * record["calibration"]["expected_calibration_error"]
