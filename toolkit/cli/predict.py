"""`toolkit predict`."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from toolkit.cli.engine_option import engine_option

if TYPE_CHECKING:
    from toolkit.serving.prediction import Prediction


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print: csv and json have a line for each image, as soon as it is known.",
)
@engine_option
@click.option(
    "--top", type=click.IntRange(1), default=1, show_default=True, help="Classes for each image."
)
def predict(model: str, paths: tuple[str, ...], output: str, engine: str, top: int) -> None:
    """Predict images with a saved classifier.

    MODEL is models/NAME (its newest version) or models/NAME/VERSION. PATHS are files, folders
    (searched with all their folders) and patterns. What a model that was made with --reject-below
    is not sure enough of is shown as unsure, and `rejected` in csv and json.

    \b
    Examples:
      toolkit predict models/images photo.jpg
      toolkit predict models/images ./new-photos --format csv > labels.csv
      toolkit predict models/images 'photos/**/*.jpg' --top 3
    """
    from toolkit.data.files import find_files
    from toolkit.errors import NoImagesError
    from toolkit.serving.bundle import find_bundle
    from toolkit.serving.engines import check_engine

    check_engine(engine)
    bundle, files = find_bundle(model), find_files(paths)  # Before TensorFlow's seconds.
    from toolkit.cli.libraries import import_tensorflow_alone

    import_tensorflow_alone()
    from toolkit.serving.loaded import Classifier

    predictions = _Readable(Classifier(bundle.path, engine).predict_each(files))
    {"table": _print_table, "csv": _print_csv, "json": _print_json}[output](predictions, top)
    if not predictions.count:
        raise NoImagesError(", ".join(paths))


class _Readable:
    """The predictions of the readable images; the others are named on standard error."""

    def __init__(self, results: Iterable) -> None:
        self._results = results
        self.count = 0

    def __iter__(self) -> Iterator["Prediction"]:
        from toolkit.data.table import Problem

        for result in self._results:
            if isinstance(result, Problem):
                print(f"Left out: {result.path}: {result.reason}", file=sys.stderr)
            else:
                self.count += 1
                yield result


def _print_table(predictions: Iterable["Prediction"], top: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("image", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    for prediction in predictions:
        for rank, (name, probability) in enumerate(prediction.top(top)):
            shown = "" if rank else _printable(prediction.path)
            label = f"unsure: {name}" if prediction.rejected and not rank else name
            table.add_row(Text(shown), Text(_printable(label)), f"{probability:.1%}")
    if table.row_count:
        Console(highlight=False).print(table)


def _print_csv(predictions: Iterable["Prediction"], top: int) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    ranks = range(1, top + 1)
    columns = [f"{name}_{rank}" for rank in ranks for name in ("class", "probability")]
    writer.writerow(["path", *columns, "rejected"])
    for prediction in predictions:
        values = [value for pair in prediction.top(top) for value in pair]
        rejected = str(prediction.rejected).lower()
        writer.writerow([_printable(prediction.path), *values, rejected])


def _print_json(predictions: Iterable["Prediction"], top: int) -> None:
    for prediction in predictions:
        best = [{"class": name, "probability": value} for name, value in prediction.top(top)]
        answer = {"predictions": best, "rejected": prediction.rejected}
        print(json.dumps({"path": _printable(prediction.path), **answer}))


def _printable(name: str) -> str:
    """A name whose bytes are no valid text still prints."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
