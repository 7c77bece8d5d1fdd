"""One fine-tuning: from its options and images to the bundle."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.adjusting import adjust_choice
from toolkit.budgeting import make_budget
from toolkit.cache import make_room
from toolkit.calibrating import Calibration, calibrate_choice, check_calibration
from toolkit.choosing import Choice, choose, predict_split, take_snapshot
from toolkit.classifier.head import LINEAR
from toolkit.clock import Clock
from toolkit.data.table import TEST, TRAIN, VALIDATION, ImageTable
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.fitting import Fitted, fit
from toolkit.options import FinetuneOptions
from toolkit.preparing import Tunable, prepare
from toolkit.probing import fit_on_features
from toolkit.progress import Reporter
from toolkit.result import FinetuneResult, summary
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.tensorboard import TensorBoardLog
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.teaching import teach
from toolkit.training.imbalance import choose_imbalance
from toolkit.unfreezing import Trainable, make_trainable

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Job:
    """A fine-tuning that is asked for.

    Attributes:
        options: All that decides its result, but for the images.
        folder: Where its bundle goes, as the next version: `models/NAME`.
        weights_mirror: See `toolkit.finetune`.
        callbacks: See `toolkit.finetune`.
        resume: See `toolkit.finetune`.
        snapshots: Weights of so many moments are saved, each as a bundle of its own in
            `models/NAME-snapshot-K`, instead of the best: after each so many epochs.
        member_of: What the record tells of the trainings that it is one of.
    """

    options: FinetuneOptions
    folder: Path
    weights_mirror: str | None = None
    callbacks: "Sequence[keras.callbacks.Callback]" = ()
    resume: bool = False
    snapshots: int = 0
    member_of: Mapping[str, Any] | None = None


def run_job(
    job: Job, read: Callable[[], ImageTable], clock: Clock, reporter: Reporter
) -> list[FinetuneResult]:
    """Trains, measures and saves what `toolkit.finetune` says.

    Args:
        job: What is asked for.
        read: Reads the images.
        clock: Measures each part.
        reporter: Tells of it.

    Returns:
        The result; of a run with snapshots one for each that was finished.
    """
    options, folder = job.options, job.folder
    log = None if options.tensorboard is None else TensorBoardLog(options.tensorboard)
    with UnfinishedRun.start(folder, options.compared, job.resume) as run:
        if job.resume and not run.resumed:
            reporter.say(f"Nothing to resume in {folder}: starting anew.")
        prepared = prepare(options, read, job.weights_mirror, clock, reporter, fit_on_features)
        check_calibration(options, prepared.table)
        with clock("fine-tuning"), naming_full_disk("the state of the training", folder):
            trainable, fitted = _train(job, prepared, run, clock, reporter, log)
            kept = _snapshots(job, prepared, trainable, fitted, clock, reporter)
            if not fitted.checkpoint.snapshots:
                kept = [(folder, _choose(prepared, trainable, fitted, reporter, log))]
        results = []
        for to, choice in kept:
            with clock("test"):
                probabilities = predict_split(prepared, choice, TEST, reporter, "Testing")
            with clock("saving"), naming_full_disk("the bundle", to):
                trained = _trained(job, prepared, trainable, fitted, choice, probabilities, clock)
                to.mkdir(parents=True, exist_ok=True)
                bundle = save_bundle(trained, run.folder / "bundle", to, reporter.progress)
            results.append(FinetuneResult(bundle, dict(clock.parts)))
        if fitted.error:  # Only now: it must not cost what was trained.
            fitted.error.add_note(
                f"What was best so far is saved: {bundle.path}. With resume=True, and the callback "
                f"mended, training goes on after epoch {len(fitted.checkpoint.history)}."
            )
            raise fitted.error
    if options.cache_size:
        make_room(options.cache_size)
    return results


def _train(
    job: Job,
    prepared: Tunable,
    run: UnfinishedRun,
    clock: Clock,
    reporter: Reporter,
    log: TensorBoardLog | None,
) -> tuple[Trainable, Fitted]:
    options, table = job.options, prepared.table
    run.keep_data(prepared.digest)
    budget = make_budget(prepared, clock)
    trainable = make_trainable(prepared, run.folder / "head", budget)
    if options.head != LINEAR:
        tells = f"Head, {clock.total:.0f} s after the start"
        reporter.say(f"{tells}: {summary(trainable.metrics)}")
    taught = None
    if options.teacher is not None:
        taught = teach(options.teacher, table, run.folder, reporter)
    further = log, job.callbacks, job.snapshots
    return trainable, fit(prepared, trainable, run, reporter, budget, taught, *further)


def _choose(
    prepared: Tunable,
    trainable: Trainable,
    fitted: Fitted,
    reporter: Reporter,
    log: TensorBoardLog | None,
) -> Choice:
    choice = choose(prepared, trainable, fitted.checkpoint, reporter)
    reporter.say(f"Kept: {choice.chosen}: {choice.why}")
    choice = _correct(prepared, choice, reporter)
    if log:
        _log_confusion(log, choice, prepared, reporter)
    return choice


def _correct(prepared: Tunable, choice: Choice, reporter: Reporter) -> Choice:
    """Does to the logits of what is kept what the options ask for."""
    choice = adjust_choice(prepared, choice, reporter)
    return calibrate_choice(prepared, choice, reporter) if prepared.options.calibrate else choice


def _snapshots(
    job: Job,
    prepared: Tunable,
    trainable: Trainable,
    fitted: Fitted,
    clock: Clock,
    reporter: Reporter,
) -> Iterable[tuple[Path, Choice]]:
    """The snapshots that were finished, each with the folder that it goes to."""
    for number in range(1, fitted.checkpoint.snapshots + 1):
        with clock("fine-tuning"):
            fitted.checkpoint.restore_snapshot(trainable.model, number)
            choice = take_snapshot(prepared, trainable.model, number, job.snapshots, reporter)
            choice = _correct(prepared, choice, reporter)
        yield job.folder.with_name(f"{job.folder.name}-snapshot-{number}"), choice


def _trained(
    job: Job,
    prepared: Tunable,
    trainable: Trainable,
    fitted: Fitted,
    choice: Choice,
    probabilities: np.ndarray,
    clock: Clock,
) -> Trained:
    table, rejected = prepared.table, prepared.options.reject_below
    calibration = Calibration(table, choice.temperature, choice.validation, probabilities)
    return Trained(
        model=choice.model,
        table=table,
        preparation=prepared.preparation,
        metrics={
            "chosen": choice.chosen,
            "why": choice.why,
            "probe": prepared.probed.metrics,
            **({} if prepared.options.head == LINEAR else {"head": trainable.metrics}),
            "validation": choice.metrics,
            "test": measure(table.split(TEST).labels, probabilities, table.classes, rejected),
            **calibration.record(),
        },
        history=fitted.checkpoint.history,
        test_probabilities=probabilities,
        run={
            **_record(prepared, trainable, fitted),
            "logits_lowered_by": _by_class(choice.lowered, table.classes),
            "member_of": job.member_of,
            "timings": clock.parts,
        },
        reject_below=rejected,
        complete=calibration.draw,
    )


def _by_class(lowered: np.ndarray | float, classes: Sequence[str]) -> dict[str, float]:
    """By its name, by how much each class's logit was lowered; empty where none was."""
    if isinstance(lowered, float):
        return {}
    return dict(zip(classes, lowered.tolist(), strict=True))


def _record(prepared: Tunable, trainable: Trainable, fitted: Fitted) -> dict[str, Any]:
    """What `run.json` tells, but for the time it took."""
    probed, checkpoint, options = prepared.probed, fitted.checkpoint, prepared.options
    labels = prepared.table.split(TRAIN).labels
    record = prepared.record()
    return {
        **record,
        "trained_stages": trainable.stages,
        "trained_from_epoch": {n: first + 1 for n, first in trainable.starts.items()},
        "epochs": options.epochs_for(len(labels)),
        "patience": options.patience_for(len(labels)),
        "best_epoch": checkpoint.best_epoch,
        "ended": checkpoint.ended and asdict(checkpoint.ended),
        "learning_rate": fitted.learning_rate,
        "precision": fitted.precision,
        "probe_strength": probed.probe.strength,
        "engine": {**record["engine"], "views": fitted.data.engine},
        "views": fitted.data.views,
        "trained_on_images": fitted.data.why,
        "imbalance": choose_imbalance(options.imbalance, labels).name,
    }


def _log_confusion(
    log: TensorBoardLog, choice: Choice, prepared: Tunable, reporter: Reporter
) -> None:
    """Logs which classes of validation are taken for which by what is kept."""
    probabilities = choice.validation
    if probabilities is None:
        probabilities = predict_split(prepared, choice, VALIDATION, reporter, "Validating")
    labels = prepared.table.split(VALIDATION).labels
    log.confusion(labels, probabilities.argmax(axis=1), prepared.table.classes)
