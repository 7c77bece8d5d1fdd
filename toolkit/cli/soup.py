"""`toolkit soup`."""

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.joining import joining_options, members_table
from toolkit.cli.saved import saved_json, saved_lines
from toolkit.cli.trust_options import answered_line, reject_below_option

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.data.source import Source
    from toolkit.result import SoupResult


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--name", required=True, help="To save under.")
@click.option(
    "--recipe",
    default="greedy",
    show_default=True,
    metavar="greedy|uniform",
    help="Those that do not lower the soup's accuracy on common validation images, tried from the "
    "best down; or all.",
)
@reject_below_option
@joining_options
def soup(models: tuple[str, ...], data: "Source | None", as_json: bool, **options: Any) -> None:
    """Average saved classifiers' weights: one model of the same size.

    MODELS are models/NAME (its newest version) or models/NAME/VERSION, of one architecture. Make
    them from the same pretrained weights, with one --data and --seed, and other hyper-parameters:
    only then do their weights lie close enough together. All are measured on images that none of
    them has seen, once. `toolkit ensemble` averages predictions instead, of any networks.

    \b
    Examples:
      toolkit soup models/slow models/fast models/smooth --name soup
      toolkit soup models/a models/b --name both --recipe uniform
    """
    from toolkit.cli.libraries import quiet_import

    with quiet_import():
        from toolkit.souping import soup as run

    result = run(models, data=data, **options)
    if as_json:
        print(saved_json(result))
    else:
        _print(result)


def _print(result: "SoupResult") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    metrics = result.metrics
    console.print(_table(metrics))
    why = metrics["why"]
    lines = [f"{why[0].upper()}{why[1:]}."]
    if "selective" in metrics["test"]:
        lines.append(answered_line(metrics["test"]["selective"]))
    lines += saved_lines(result.path)
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def _table(metrics: dict[str, Any]) -> "Table":
    from rich.text import Text

    table = members_table(metrics, ("in it", "validation", "accuracy", "log-loss"))
    for member in metrics["members"]:
        table.add_row(Text(member["name"]), "yes" if member["weight"] else "no", *_figures(member))
    table.add_row("soup", "", *_figures(metrics), style="bold")
    return table


def _figures(record: dict[str, Any]) -> list[str]:
    """Of a row: accuracy on validation, accuracy and loss on test."""
    validation, test = record["validation"], record["test"]
    return [
        f"{validation['accuracy']:.2%}" if validation else "",
        f"{test['accuracy']:.2%}",
        f"{test['loss']:.4f}",
    ]
