"""Audit: a look at a whole data set, against decoding its photos.

Real photos are repeated until there are as many as asked for, each with a few other bytes behind
its end. Each pass is a process of its own, the files are in the system's cache, and imports do not
count.

- *toolkit audit*: the digests of all files, a thumbnail of each, its perceptual hash, the search
  for near duplicates (each photo has many), all checks but that of labels, and the page.
- *decoding alone*: `tf.io.read_file` and `tf.io.decode_jpeg` in tf.data, nothing resized.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.folders import own_cache
from benchmarks.images import describe, paths, read_table
from benchmarks.measure import alternate
from benchmarks.outcome import Comparison, Outcome
from benchmarks.processes import python, record_in, run_process
from benchmarks.scaling import repeated_images
from benchmarks.settings import Settings

TOOLKIT, ALONE = "toolkit audit", "decoding alone"
CONTESTANTS = {ALONE: "decoding", TOOLKIT: "toolkit"}
IMAGES = 2000


def run(settings: Settings) -> Outcome:
    """Measures both for each number of images."""
    records: dict[int, dict[str, list[dict[str, Any]]]] = {}
    with own_cache():
        table = read_table(settings, IMAGES)
        for size in settings.sizes:
            with repeated_images(paths(table), size) as folder:
                measures = {name: _measure(folder, name, settings) for name in CONTESTANTS}
                records[size] = alternate(settings.repetitions, measures, say=settings.say)
    return Outcome(
        "Repeated from " + describe(table),
        [
            _comparison("Time", "s", records, lambda record: record["seconds"]),
            _comparison("Peak memory", "MiB", records, lambda record: record["peak"] / 2**20),
        ],
    )


def _measure(folder: Any, name: str, settings: Settings) -> Callable[[], dict[str, Any]]:
    command = python("benchmarks.audit_pass", CONTESTANTS[name], folder)

    def measure() -> dict[str, Any]:
        record = next(record for record in map(record_in, run_process(command)) if record)
        settings.say(f"{name}: {record['seconds']:.1f} s, {record['peak'] / 2**20:.0f} MiB")
        return record

    return measure


def _comparison(
    title: str,
    unit: str,
    records: dict[int, dict[str, list[dict[str, Any]]]],
    value: Callable[[dict[str, Any]], float],
) -> Comparison:
    rows = {
        f"{name}, {size:,} images": [value(record) for record in measured[name]]
        for size, measured in records.items()
        for name in CONTESTANTS
    }
    to = {f"{TOOLKIT}, {size:,} images": f"{ALONE}, {size:,} images" for size in records}
    return Comparison(title, unit, rows, to, f"{ALONE} of as many")
