"""Scaling: time and memory of the feature pass as the images become many.

Real images are repeated until there are as many as asked for. Each copy has a few other bytes
behind its end, so that its content digest differs, and its pixels don't. Each pass is a process of
its own with an empty cache.

- *toolkit*: reading all files once for their digests, `compute_features` with the engine "auto",
  and all features as an array (mapped from the disk where they are many).
- *model.predict*: `image_dataset_from_directory`, then `model.predict` over it.

Time does not count the imports, the network, the tracing of `model.predict` and the choice of the
engine (for its cost see `features`). Peak memory is that of the whole process (resident, with what
it maps from files), so it includes the conversion of the network for the engine. What the pass
added is its peak beyond what was held when it began.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.folders import own_cache, repeated_images
from benchmarks.images import describe, paths, read_table
from benchmarks.measure import alternate
from benchmarks.outcome import Comparison, Lines, Outcome
from benchmarks.processes import python, record_in, run_process
from benchmarks.settings import Settings

TOOLKIT, PREDICT = "toolkit", "model.predict"
CONTESTANTS = {PREDICT: "keras", TOOLKIT: "toolkit"}
IMAGE_SIZE = 64
IMAGES = 2000

Record = dict[str, Any]


def run(settings: Settings) -> Outcome:
    """Measures both for each number of images."""
    pixels = settings.image_size or IMAGE_SIZE
    settings = replace(settings, image_size=pixels)
    records: dict[int, dict[str, list[Record]]] = {}
    with own_cache():
        table = read_table(settings, IMAGES)
        data = "Repeated from " + describe(table)
        for size in settings.sizes:
            with repeated_images(paths(table), size) as folder:
                measures = {name: _measure(folder, name, settings) for name in CONTESTANTS}
                records[size] = alternate(settings.repetitions, measures, say=settings.say)
                settings.say(f"{size:,} images: done")
    comparisons = [
        compare_sizes(title, unit, records, value, TOOLKIT, PREDICT)
        for title, unit, value in (
            ("Time of the pass", "s", lambda record: record["seconds"]),
            ("Throughput", "images/s", lambda record: record["images"] / record["seconds"]),
            ("Peak memory", "MiB", lambda record: record["peak"] / 2**20),
            ("Memory that the pass added", "MiB", lambda record: record["added"] / 2**20),
        )
    ]
    lines = [_lines(comparisons[0], records, "xy"), _lines(comparisons[2], records, "x")]
    return Outcome(data, comparisons, lines, [f"At {pixels} x {pixels} pixels."])


def _measure(folder: Path, name: str, settings: Settings) -> Callable[[], Record]:
    command = python("benchmarks.feature_pass", CONTESTANTS[name], folder)
    return measure_process([*command, *settings.network_options], name, settings)


def measure_process(command: Sequence[str], name: str, settings: Settings) -> Callable[[], Record]:
    """Makes the function that runs a process with an empty cache, and gives what it recorded."""

    def measure() -> Record:
        with own_cache():
            lines = run_process(command)
        record = next(record for record in map(record_in, lines) if record)
        settings.say(f"{name}: {record['seconds']:.1f} s, {record['peak'] / 2**20:.0f} MiB")
        return record

    return measure


def compare_sizes(
    title: str,
    unit: str,
    records: dict[int, dict[str, list[Record]]],
    value: Callable[[Record], float],
    ours: str,
    reference: str,
) -> Comparison:
    """Compares what was recorded of each contestant for each number of images."""
    rows = {
        _row(name, size): [value(record) for record in each]
        for size, measured in records.items()
        for name, each in measured.items()
    }
    references = {_row(ours, size): _row(reference, size) for size in records}
    return Comparison(title, unit, rows, references, f"{reference} of as many")


def _row(name: str, size: int) -> str:
    return f"{name}, {size:,} images"


def _lines(comparison: Comparison, sizes: dict[int, Any], log: str) -> Lines:
    medians = comparison.medians
    lines = {
        name: [(float(size), medians[_row(name, size)] or 0.0) for size in sizes]
        for name in CONTESTANTS
    }
    label = f"{comparison.title.lower()} ({comparison.unit})"
    return Lines(comparison.title, "images", label, lines, log)
