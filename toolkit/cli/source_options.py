"""The options of every command that reads labelled images."""

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = [
    click.option(
        "--columns",
        metavar="NAME=COLUMN,...",
        help="Names of a manifest's columns, where they are not path, label, split and group.",
    ),
    click.option(
        "--root",
        metavar="FOLDER",
        help="What a manifest's paths are relative to.  [default: its own folder]",
    ),
]


def manifest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --columns and --root."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


group_option = click.option(
    "--group-by",
    metavar="COLUMN|REGEX",
    help="Images that must stay on one side of the split: a manifest's column, or a regular "
    "expression on the paths, as '(patient-[0-9]+)'.",
)


class Shares(click.ParamType):
    """Numbers with commas between, or auto."""

    name = "shares"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...] | str:
        """Reads them."""
        if isinstance(value, tuple) or value == "auto":
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"auto, or numbers with commas between, as 0.7,0.15,0.15. Received: {value}")


split_option = click.option(
    "--split",
    type=Shares(),
    default="auto",
    show_default=True,
    metavar="auto|SHARES",
    help="Shares of train, validation and test, where the data has no such folders or column. "
    "auto: 0.7,0.15,0.15 up to 10,000 images, towards 0.98,0.01,0.01 for a million.",
)
