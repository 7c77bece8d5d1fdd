"""`toolkit cache`: what is in the cache folder, and making room in it."""

import json
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.cache import Entry


@click.command()
@click.option(
    "--clear",
    metavar="all|features|probes|views|networks|samples",
    help="Delete all of it, or one kind. Nothing is lost but the time to compute it again.",
)
@click.option(
    "--shrink-to",
    metavar="SIZE",
    help="Delete what was not used for longest until no more than this is left, e.g. 5GB.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cache(clear: str | None, shrink_to: str | None, as_json: bool) -> None:
    """Show what is in the cache, or make room in it.

    features: what frozen networks give for images. probes: what was fitted on these. views: what
    frozen stages give for augmented views, to train on. networks: networks converted for this
    machine's CPU. samples: sample data sets.

    \b
    Examples:
      toolkit cache
      toolkit cache --clear views
      toolkit cache --shrink-to 5GB
    """
    from toolkit import cache as folder
    from toolkit.files import cache_folder

    if clear is not None:
        click.echo(f"Freed: {_size(folder.clear(clear))}", err=True)
    if shrink_to is not None:
        folder.make_room(folder.parse_size("--shrink-to", shrink_to))
    entries = folder.entries()
    if as_json:
        record = {"folder": str(cache_folder()), "entries": [_record(each) for each in entries]}
        click.echo(json.dumps(record))
        return
    _print(entries, str(cache_folder()))


def _record(entry: "Entry") -> dict[str, Any]:
    return {
        "path": str(entry.path),
        "kind": entry.kind,
        "bytes": entry.bytes,
        "used": entry.used,
        "key": entry.key,
    }


def _print(entries: list["Entry"], folder: str) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if entries:
        console.print(_table(entries))
    total = sum(entry.bytes for entry in entries)
    console.print(f"{folder}: {_size(total)}", soft_wrap=True, markup=False)


def _table(entries: list["Entry"]) -> "Table":
    """A row for each kind and network, the last used first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in reversed(entries):
        network = str(entry.key.get("network", entry.path.name))
        groups.setdefault((entry.kind, network), []).append(entry)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Kind", no_wrap=True)
    table.add_column("Of", overflow="fold")
    for title in ("Entries", "Size", "Last used"):
        table.add_column(title, justify="right", no_wrap=True)
    for (kind, network), group in groups.items():
        size = _size(sum(entry.bytes for entry in group))
        row = kind, network, f"{len(group):,}", size, _ago(time.time() - group[0].used)
        table.add_row(*map(Text, row))
    return table


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (number := int(seconds // length)) > 0:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"
