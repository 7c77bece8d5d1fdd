"""Audit: a look at a whole data set, against decoding its photos.

Real photos are repeated until there are as many as asked for, each with a few other bytes behind
its end. Each pass is a process of its own, the files are in the system's cache, and imports do not
count.

- *toolkit audit*: the digests of all files, a thumbnail of each, its perceptual hash, the search
  for near duplicates (each photo has many), all checks but that of labels, and the page.
- *decoding alone*: `tf.io.read_file` and `tf.io.decode_jpeg` in tf.data, nothing resized.
"""

from benchmarks.folders import own_cache, repeated_images
from benchmarks.images import describe, paths, read_table
from benchmarks.measure import alternate
from benchmarks.outcome import Outcome
from benchmarks.processes import python
from benchmarks.scaling import Record, compare_sizes, measure_process
from benchmarks.settings import Settings

TOOLKIT, ALONE = "toolkit audit", "decoding alone"
CONTESTANTS = {ALONE: "decoding", TOOLKIT: "toolkit"}
IMAGES = 2000


def run(settings: Settings) -> Outcome:
    """Measures both for each number of images."""
    records: dict[int, dict[str, list[Record]]] = {}
    with own_cache():
        table = read_table(settings, IMAGES)
        for size in settings.sizes:
            with repeated_images(paths(table), size) as folder:
                measures = {
                    name: measure_process(
                        python("benchmarks.audit_pass", contestant, folder), name, settings
                    )
                    for name, contestant in CONTESTANTS.items()
                }
                records[size] = alternate(settings.repetitions, measures, say=settings.say)
    return Outcome(
        "Repeated from " + describe(table),
        [
            compare_sizes("Time", "s", records, lambda r: r["seconds"], TOOLKIT, ALONE),
            compare_sizes(
                "Peak memory", "MiB", records, lambda r: r["peak"] / 2**20, TOOLKIT, ALONE
            ),
        ],
    )
