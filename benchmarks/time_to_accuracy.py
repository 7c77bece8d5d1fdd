"""Time to accuracy: a whole job against Keras' transfer-learning guide and a PyTorch loop.

All contestants train the same network from the same weights on the same splits, each in a process
of its own, timed from the start of that process.

- *Keras' guide*: "Transfer learning & fine-tuning" (https://keras.io/guides/transfer_learning)
  written out in `benchmarks/guide.py`: the base frozen with Adam at 1e-3, then everything unfrozen
  at 1e-5, ten epochs each, batch 32. Measuring the test photos after each epoch does not count;
  measuring the validation photos does. Where mirroring changes the class (the sample digits), it
  does without, as the toolkit does.
- *Toolkit, cold*: `toolkit finetune` with its defaults and an empty cache. Two moments count: when
  the probe is done, and the end of the process. The latter includes the measurement of the test
  photos and the saved, checked bundle, which the others do not make.
- *Toolkit, warm*: the same command once more, with all that the first run has left in the cache.
- *PyTorch*: the guide's two phases as a plain loop (`benchmarks/torch_loop.py`), where torch is
  installed and the network is EfficientNet-Lite0.

The probe's test accuracy is that of a run of its own with `--epochs 0`, outside of the clock.
What the guide and PyTorch reached is the best of all their epochs *on the test photos*, which
favours them: they have no rule that would choose it. The toolkit's is what its one saved model has.

With Keras 3.15.1 the guide's unfrozen epochs lose accuracy: `training=False` is lost once the base
is unfrozen, and BatchNorm's moving statistics change with every batch (fixed upstream later). The
PyTorch loop shows the same schedule without that defect.
"""

import csv
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.curve import Curve, follow, seconds_to
from benchmarks.folders import cache_at, link, link_classes, own_cache, temporary_folder
from benchmarks.images import describe, read_table
from benchmarks.measure import alternate
from benchmarks.outcome import Comparison, Lines, Outcome, compare
from benchmarks.processes import python, record_in, timed_lines
from benchmarks.settings import Settings
from toolkit.data.sources import list_source
from toolkit.data.splits import check_classes
from toolkit.data.table import ImageTable

GUIDE, COLD, WARM, TORCH = "Keras' guide", "toolkit, cold", "toolkit, warm", "PyTorch"
GUIDE_EPOCHS = 10
TORCH_BACKBONE = "efficientnet-lite0"
TORCH_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""On a machine that others use, too, threads that wait by spinning slow PyTorch down many times."""

NO_TORCH = (
    "PyTorch was not measured: it needs `--backbone efficientnet-lite0` and `pip install torch`."
)


def run(settings: Settings) -> Outcome:
    """Measures the contestants, each round a process of each."""
    with temporary_folder() as folder, own_cache():
        table = read_table(settings)
        check_classes(table)
        data = describe(table)
        job = _Job.of(settings, table, folder)
        _, probe = job.run(folder / "cache-probe", "--epochs", "0")
        job.link_splits(Path(probe["path"]), probe["run"]["data"]["root"])
        contestants = _contestants(settings, job, probe["test"]["accuracy"])
        measured = alternate(settings.repetitions, contestants, say=settings.say)
    curves = {
        name: [each[name] for each in rounds] for rounds in measured.values() for name in rounds[0]
    }
    photos = probe["test"]["n"]
    notes = [f"{photos:,} test photos: one of them is {1 / photos:.2%}."]
    notes += [] if TORCH in curves else [NO_TORCH]
    return Outcome(data, _comparisons(curves), [_lines(curves)], notes)


class _Job:
    """The toolkit's job on one source, and its splits as folders for the others."""

    def __init__(self, settings: Settings, source: str, augment: str, folder: Path) -> None:
        self._settings, self._source, self._augment = settings, source, augment
        self.flips = augment == "light"
        self.splits = folder / "splits"
        self._models = folder / "models"

    @classmethod
    def of(cls, settings: Settings, table: ImageTable, folder: Path) -> "_Job":
        """The job on the source, or with a limit on links to some of its images."""
        augment = "light" if list_source(settings.data).flips else "light-no-flip"
        if settings.limit is None:
            return cls(settings, settings.data, augment, folder)
        link_classes(table, folder / "some")
        return cls(settings, str(folder / "some"), augment, folder)

    def run(self, cache: Path, *more: str, probe_accuracy: float = 0.0) -> tuple[Curve, dict]:
        """Runs it; gives the moments of the probe and of the end, and its result's record."""
        with cache_at(cache):
            list_source(self._source)  # The sample is there before the clock starts.
        arguments = ["--data", self._source, *self._settings.network_options]
        arguments += ["--augment", self._augment, "--models-dir", str(self._models), "--json"]
        command = python("toolkit.cli.main", "finetune", *arguments, *more)
        probe_seconds = 0.0
        record: dict[str, Any] = {}
        for seconds, line in timed_lines(command, {"TOOLKIT_CACHE": str(cache)}):
            if line.startswith("Probe, "):
                probe_seconds = seconds
            record = record_in(line) or record
        end = (seconds, record["test"]["accuracy"])
        return [(probe_seconds, probe_accuracy), end], record

    def link_splits(self, bundle: Path, root: str) -> None:
        """Makes folders of the splits that a run of the job made."""
        with open(bundle / "assets.extra" / "splits.csv", newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file)):
                folder = self.splits / row["split"] / row["label"]
                link(Path(root, row["path"]), folder, number)


def _contestants(
    settings: Settings, job: _Job, probe_accuracy: float
) -> dict[str, Callable[[], dict[str, Curve]]]:
    epochs = settings.epochs or GUIDE_EPOCHS
    flip = "--flip" if job.flips else "--no-flip"
    shared = [str(job.splits), "--epochs", str(epochs), flip]
    size = [] if settings.image_size is None else ["--image-size", str(settings.image_size)]
    guide = python("benchmarks.guide", *shared, *settings.network_options)
    torch = python("benchmarks.torch_loop", *shared, *size)
    more = [] if settings.epochs is None else ["--epochs", str(settings.epochs)]

    def toolkit() -> dict[str, Curve]:
        with temporary_folder() as cache:
            return {
                name: job.run(cache, *more, probe_accuracy=probe_accuracy)[0]
                for name in (COLD, WARM)
            }

    contestants: dict[str, Callable[[], dict[str, Curve]]] = {
        GUIDE: lambda: {GUIDE: follow(guide, settings.say)},
        "toolkit": toolkit,
    }
    if settings.backbone == TORCH_BACKBONE and importlib.util.find_spec("torch"):
        contestants[TORCH] = lambda: {TORCH: follow(torch, settings.say, TORCH_ENVIRONMENT)}
    return contestants


def _comparisons(curves: Mapping[str, Sequence[Curve]]) -> list[Comparison]:
    targets = [_best(curve) for curve in curves[GUIDE]]

    def of_each(value: Callable[[Curve, float], Any]) -> dict[str, list]:
        return {
            name: [value(curve, target) for curve, target in zip(rounds, targets, strict=True)]
            for name, rounds in curves.items()
        }

    def reached(name: str) -> list[float]:
        toolkit = name in (COLD, WARM)
        return [100 * (curve[-1][1] if toolkit else _best(curve)) for curve in curves[name]]

    return [
        compare("Time to the guide's best test accuracy", "s", of_each(seconds_to), GUIDE),
        compare("Test accuracy that was reached", "%", {name: reached(name) for name in curves}),
        compare("Test accuracy at the end", "%", of_each(lambda curve, _: 100 * curve[-1][1])),
        compare("Time to the end", "s", of_each(lambda curve, _: curve[-1][0]), GUIDE),
        compare("Time to the first result", "s", of_each(lambda curve, _: curve[0][0]), GUIDE),
        compare("Test accuracy of the first result", "%", of_each(lambda c, _: 100 * c[0][1])),
    ]


def _best(curve: Curve) -> float:
    return max(accuracy for _, accuracy in curve)


def _lines(curves: Mapping[str, Sequence[Curve]]) -> Lines:
    lines = {
        name: [(seconds, 100 * accuracy) for seconds, accuracy in rounds[0]]
        for name, rounds in curves.items()
    }
    title = "Test accuracy over time (the first round)"
    return Lines(
        title, "seconds since the start of the process", "test accuracy (%)", lines, "x", True
    )
