"""`toolkit evaluate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.engine_option import engine_option
from toolkit.cli.source_options import source_options
from toolkit.cli.trust_options import answered_line

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.data.source import Source

SHOWN_CLASSES = 50


@click.command()
@click.argument("model")
@click.option("--data", required=True, metavar="SOURCE", help="Any source that finetune takes.")
@click.option(
    "--output",
    metavar="FOLDER",
    help="Where numbers and pictures go.  [default: evaluation/NAME-VERSION]",
)
@click.option(
    "--include-seen",
    is_flag=True,
    help="Measure also on the images that the model was trained on or chosen by.",
)
@source_options()
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def evaluate(
    model: str,
    data: "Source",
    output: str | None,
    include_seen: bool,
    engine: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a saved classifier on labelled images.

    MODEL is models/NAME (its newest version) or models/NAME/VERSION. Classes are matched by name.
    Images that the model was trained on or chosen by are recognized by their content and left out.

    \b
    Examples:
      toolkit evaluate models/images --data ./images
      toolkit evaluate models/images/2 --data ./more-images --output ./report
    """
    from toolkit.serving.bundle import find_bundle
    from toolkit.serving.engines import check_engine

    check_engine(engine)
    bundle = find_bundle(model)
    folder = output or str(Path("evaluation", bundle.name.replace("/", "-")))
    from toolkit.cli.libraries import import_tensorflow_alone

    import_tensorflow_alone()
    from toolkit.serving.evaluate import evaluate as run

    result = run(
        bundle.path,
        data,
        output=folder,
        include_seen=include_seen,
        engine=engine,
        quiet=quiet,
    )
    if as_json:
        print(json.dumps(result.metrics))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table(result.metrics))
    if "selective" in result.metrics:
        console.print(answered_line(result.metrics["selective"]), soft_wrap=True)
    console.print(f"Numbers and pictures: {folder}", soft_wrap=True, markup=False)


def _table(metrics: dict[str, Any]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    low, high = metrics["accuracy_ci95"]
    table = Table(
        title=f"Accuracy {metrics['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}, "
        f"{metrics['n']:,} images), loss {metrics['loss']:.4f}, macro-F1 {metrics['macro_f1']:.3f}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("class")
    for name in ("precision", "recall", "f1", "images"):
        table.add_column(name, justify="right")
    classes = sorted(metrics["per_class"].items(), key=lambda item: item[1]["f1"])
    for name, row in classes[:SHOWN_CLASSES]:
        values = [f"{row[part]:.3f}" for part in ("precision", "recall", "f1")]
        table.add_row(Text(name), *values, f"{row['support']:,}")
    if len(classes) > SHOWN_CLASSES:
        table.add_row(f"... and {len(classes) - SHOWN_CLASSES} better ones")
    return table
