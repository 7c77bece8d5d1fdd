"""One fine-tuning: from its options and images to the bundle."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.adjusting import adjust_choice
from toolkit.budgeting import make_budget
from toolkit.cache import make_room
from toolkit.calibrating import calibrate_choice, check_calibration, validation_of
from toolkit.choosing import Choice, choose, predict_split, take_snapshot
from toolkit.classifier.head import LINEAR
from toolkit.clock import Clock
from toolkit.data.table import TEST, VALIDATION, ImageTable
from toolkit.files import naming_full_disk
from toolkit.fitting import Fitted, fit
from toolkit.options import FinetuneOptions
from toolkit.outcome import Outcome
from toolkit.preparing import Tunable, prepare
from toolkit.probing import fit_on_features
from toolkit.progress import Reporter
from toolkit.result import FinetuneResult, summary
from toolkit.serving.save import save_bundle
from toolkit.serving.tensorboard import TensorBoardLog
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.teaching import teach
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
                outcome = Outcome(prepared, trainable, fitted, choice, probabilities)
                trained = outcome.trained(job.member_of, clock.parts)
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
        table = prepared.table.split(VALIDATION)
        predicted = validation_of(prepared, choice, reporter).argmax(axis=1)
        log.confusion(table.labels, predicted, table.classes)
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
            reporter.say(f"Snapshot: {choice.why}")
            choice = _correct(prepared, choice, reporter)
        yield job.folder.with_name(f"{job.folder.name}-snapshot-{number}"), choice
