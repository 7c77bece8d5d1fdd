"""Start-up: whole processes, from the start to the end.

- *toolkit --help* against *python -c pass*, the floor for anything in Python.
- *toolkit predict MODEL PHOTO* against the shortest script that gives the same answer: `import
  tensorflow`, `tf.saved_model.load`, one call with the file's bytes. The bundle is a probe that is
  trained before, on the data where it has class folders, otherwise on the sample digits.

One round is not counted: it brings the files into the system's cache.
"""

import sys
from pathlib import Path

from benchmarks.folders import own_cache, temporary_folder
from benchmarks.images import UNLABELLED, describe, paths, read_table
from benchmarks.measure import alternate
from benchmarks.outcome import Comparison, Outcome
from benchmarks.processes import python, record_in, run_process, seconds_of_process
from benchmarks.settings import Settings
from toolkit.data.table import ImageTable

HELP, FLOOR = "toolkit --help", "python -c pass"
PREDICT, SCRIPT = "toolkit predict, one photo", "tf.saved_model.load, one photo"
LOADING = """
import sys
import tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = serve(image_bytes=tf.constant([open(sys.argv[2], "rb").read()]))
print(answer["label"].numpy()[0].decode(), answer["probabilities"].numpy().max())
"""


def run(settings: Settings) -> Outcome:
    """Measures the seconds of whole processes."""
    with own_cache(), temporary_folder() as folder:
        table = read_table(settings)
        model, photo = _make_bundle(settings, table, folder), paths(table)[0]
        commands = {
            FLOOR: [sys.executable, "-c", "pass"],
            HELP: python("toolkit.cli.main", "--help"),
            SCRIPT: [sys.executable, "-c", LOADING, str(model), str(photo)],
            PREDICT: python("toolkit.cli.main", "predict", model, photo),
        }
        contestants = {name: seconds_of_process(command) for name, command in commands.items()}
        seconds = alternate(settings.repetitions, contestants, warm_up=1, say=settings.say)
        data = describe(table)
    references = {HELP: FLOOR, PREDICT: SCRIPT}
    comparison = Comparison("Whole process", "s", seconds, references, "the row above")
    return Outcome(data, [comparison])


def _make_bundle(settings: Settings, table: ImageTable, folder: Path) -> Path:
    source = "sample:digits" if table.classes == [UNLABELLED] else settings.data
    options = ["--data", source, "--models-dir", str(folder), *settings.network_options]
    command = python("toolkit.cli.main", "finetune", *options, "--epochs", 0, "--quiet", "--json")
    records = [record_in(line) for line in run_process(command)]
    return next(Path(record["path"]) for record in records if record)
