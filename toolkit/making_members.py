"""Several trainings on one data set, and the ensemble of what they give: `finetune --folds 5`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import backbones as networks
from toolkit.asking import make_options
from toolkit.clock import Clock
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.table import ImageTable
from toolkit.ensembling import ensemble
from toolkit.finetuning import Job, run_job
from toolkit.job import finetune_arguments
from toolkit.member_plans import Making, Training, plan_trainings
from toolkit.option_checks import check_reject_below, model_name
from toolkit.options import FinetuneOptions
from toolkit.preparing import read_images
from toolkit.progress import Reporter
from toolkit.result import EnsembleResult
from toolkit.run_record import data_digest
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.users_callbacks import check_callbacks


def finetune_members(
    data: str | os.PathLike[str] | Source | Mapping[str, Any],
    name: str | None = None,
    *,
    backbones: Sequence[str] = ("efficientnet-lite0",),
    folds: int | None = None,
    seeds: int = 1,
    snapshots: int = 1,
    calibrate: bool = False,
    reject_below: float = 0.0,
    models_dir: str | os.PathLike[str] = "models",
    seed: int = 0,
    resume: bool = False,
    quiet: bool = False,
    **options: Any,
) -> EnsembleResult:
    """Trains several classifiers on one data set, and saves their average as one classifier.

    There is a training for each backbone, with each fold and each seed. All have the same test
    images, which none has seen. Each is saved as `models_dir/NAME-...`, e.g. `signs-resnet50` or
    `signs-fold-1`, and the ensemble, with equal weights, as `models_dir/NAME`: `toolkit.ensemble`
    makes others of the same members. What they have in common is computed once: the images are read
    once, and members with the same backbone share its features in the cache.

    Args:
        data: As `finetune` takes it.
        name: To save under; by default the data folder's name.
        backbones: The pretrained networks.
        folds: Shares out training and validation images into so many folds, stratified, and no
            group on two sides; each member validates on another. Together they give honest
            predictions for all of these images: `metrics["out_of_fold"]` and `out_of_fold.csv`.
        seeds: So many trainings from `seed` on: other order, dropout, augmentation and random
            weights; the splits are those of the first.
        snapshots: So many members out of each training: the learning rate falls along a cosine and
            is raised again so many times, and the weights at the end of each are kept (Huang et al.
            2017, "Snapshot Ensembles"), also where the probe is better; nothing ends early.
        calibrate: Scale the ensemble by a temperature found on the validation images. With folds,
            which have none in common, each member is calibrated on its own.
        reject_below: Where the ensemble's highest probability is lower, it gives no label.
        models_dir: The model repository.
        seed: Of splits and folds, and of the first training.
        resume: Go on with the unfinished run that had the same options: finished members stay.
        quiet: Show no progress.
        options: Further ones of `finetune`, for each training; `time_budget` is shared out among
            them.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.finetune_members("./images", "signs", folds=5)
        >>> result.metrics["out_of_fold"]["accuracy"], result.metrics["test"]["accuracy"]
        (0.97, 0.98)
    """
    making = Making(tuple(backbones), folds, seeds, snapshots)
    alone = calibrate and folds is not None
    given = finetune_arguments(data, {**options, "seed": seed, "calibrate": alone})
    check_reject_below(reject_below)
    making.check(given["schedule"], given["epochs"], given["swa"])
    check_callbacks(given["callbacks"])
    source, clock, reporter = as_source(data), Clock(), Reporter(quiet)
    for each in making.backbones:
        networks.find(each)
    folder = Path(models_dir).expanduser() / model_name(name, source.location)
    listing = list_source(source, reporter.progress)
    asked = [
        make_options({**given, "backbone": each}, source, listing) for each in making.backbones
    ]
    made_so = {"backbones": making.backbones, "folds": folds, "seeds": seeds}
    joined: dict[str, Any] = {"calibrate": calibrate and not alone, "reject_below": reject_below}
    compared = {**asked[0].compared, **made_so, "snapshots": snapshots, "ensemble": joined}
    with UnfinishedRun.start(folder, compared, resume) as run:
        table = read_images(asked[0], listing, reporter)
        trainings = list(plan_trainings(making, asked, table))
        run.keep_data(data_digest(trainings[0].table))
        paths: list[str] = []
        for number, training in enumerate(trainings):
            if len(trainings) > 1:
                reporter.say(f"Training {number + 1} of {len(trainings)}: {training.name}")
            left = len(trainings) - number
            own = "-".join(filter(None, (folder.name, training.name)))
            job = Job(
                options=_limited(training, clock, left),
                folder=folder.with_name(own),
                weights_mirror=given["weights_mirror"],
                callbacks=given["callbacks"],
                resume=run.resumed,
                snapshots=snapshots if snapshots > 1 else 0,
                member_of={**made_so, "name": folder.name, "split_seed": seed},
            )
            made = partial(_make, job, training.table, reporter)
            paths += run.remember(f"training-{number + 1}", made)["paths"]
        return ensemble(
            paths, folder.name, models_dir=folder.parent, seed=seed, quiet=quiet, **joined
        )


def _make(job: Job, table: ImageTable, reporter: Reporter) -> dict[str, Any]:
    results = run_job(job, lambda: table, Clock(), reporter)
    return {"paths": [str(result.path) for result in results]}


def _limited(training: Training, clock: Clock, left: int) -> FinetuneOptions:
    """The training's options, with its part of the time and of the log's folder."""
    options = training.options
    if options.time_budget is not None:
        share = max(1.0, (options.time_budget - clock.total) / left)
        options = replace(options, time_budget=share)
    if options.tensorboard is not None:
        options = replace(options, tensorboard=os.path.join(options.tensorboard, training.name))
    return options
