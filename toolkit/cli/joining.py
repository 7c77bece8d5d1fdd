"""What `toolkit ensemble` and `toolkit soup` have in common on the command line."""

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.network_options import models_dir_option
from toolkit.cli.sections import all_of
from toolkit.cli.source_options import source_options

if TYPE_CHECKING:
    from rich.table import Table

joining_options = all_of(
    click.option(
        "--data",
        metavar="SOURCE",
        help="Images to test on; what a member has seen is left out.  [default: the members' own "
        "test images]",
    ),
    source_options(),
    models_dir_option,
    click.option("--seed", default=0, show_default=True, help="Of the gain's interval."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
    click.option("--quiet", is_flag=True, help="Show no progress."),
)
"""Adds the options in the order in which help shows them."""


def members_table(metrics: dict[str, Any], columns: tuple[str, ...]) -> "Table":
    """An empty table of members and what is made of them, with these columns after the names."""
    from rich.table import Table

    table = Table(
        title=f"On {metrics['test']['n']:,} test images, measured once",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    return table
