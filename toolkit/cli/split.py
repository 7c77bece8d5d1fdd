"""`toolkit split`."""

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.source_options import max_pixels_option, source_options, split_option

if TYPE_CHECKING:
    from toolkit.splitting import SplitResult

SHOWN_CLASSES = 50


@click.command()
@click.argument("data", metavar="SOURCE")
@click.option(
    "--output", metavar="FILE", help="A new CSV file.  [default: the data's name-splits.csv]"
)
@split_option
@click.option(
    "--folds",
    type=int,
    metavar="K",
    help="Write K manifests, each with another part of the images as validation.",
)
@source_options(grouped=True)
@max_pixels_option
@click.option("--seed", default=0, show_default=True, help="Another seed gives another split.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def split(as_json: bool, **options: Any) -> None:
    """Share out labelled images and write a manifest that every command reads back.

    Where finetune would put each image with the same options, as a CSV file with the columns path,
    label, split and group. What it says can be changed by hand.

    \b
    Examples:
      toolkit split ./images
      toolkit split ./images --group-by '(patient-[0-9]+)' --output images.csv
      toolkit split ./images --folds 5
      toolkit finetune --data images.csv
    """
    from toolkit.splitting import split as run

    result = run(**options)
    if as_json:
        record = {"root": result.root, "counts": result.counts, "groups": result.groups}
        print(json.dumps({"paths": [str(path) for path in result.paths], **record}))
    else:
        _print(result)


def _print(result: "SplitResult") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for path, counts in zip(result.paths, result.counts, strict=True):
        console.print(str(path), soft_wrap=True, markup=False)
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("class")
        for name in counts:
            table.add_column(name, justify="right")
        columns = list(counts.values())
        classes = list(columns[0])
        for label in classes[:SHOWN_CLASSES]:
            table.add_row(Text(label), *(f"{column[label]:,}" for column in columns))
        if len(classes) > SHOWN_CLASSES:
            table.add_row(f"... and {len(classes) - SHOWN_CLASSES} more")
        table.add_row("all", *(f"{sum(column.values()):,}" for column in columns), style="bold")
        console.print(table)
    if result.groups:
        console.print(f"{result.groups:,} groups, none on two sides")
    root = f" --root {shlex.quote(result.root)}" if result.root else ""
    console.print(
        f"Next:  toolkit finetune --data {shlex.quote(str(result.paths[0]))}{root}",
        soft_wrap=True,
        markup=False,
    )
