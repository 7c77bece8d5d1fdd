"""The options of every command that reads labelled images."""

import functools
from collections.abc import Callable
from typing import Any

import click

from toolkit.cli.sections import images_option, speed_option

SOURCE_HELP = (
    "A folder of class folders, a folder with train/, val/ and test/, a manifest (.csv, .parquet), "
    "tfds:NAME[/CONFIG][:SPLITS], or sample:digits."
)

_OPTIONS = {
    "columns": images_option(
        "--columns",
        metavar="NAME=COLUMN,...",
        help="Names of a manifest's columns, where they are not path, label, split and group.",
    ),
    "root": images_option(
        "--root",
        metavar="FOLDER",
        help="What a manifest's paths are relative to.  [default: its own folder]",
    ),
    "data_dir": images_option(
        "--data-dir",
        metavar="FOLDER",
        help="Where TensorFlow data sets lie.  [default: ~/tensorflow_datasets]",
    ),
    "exclude": images_option(
        "--exclude",
        metavar="FILE",
        help="A table (.csv, .parquet) of images to leave out, as `toolkit audit` writes it.",
    ),
}

_GROUPS = {
    "group_by": images_option(
        "--group-by",
        metavar="COLUMN|REGEX",
        help="Images that must stay on one side of the split: a manifest's column, or a regular "
        "expression on the paths, as '(patient-[0-9]+)'.",
    ),
    "group_near_duplicates": images_option(
        "--group-near-duplicates",
        is_flag=True,
        help="Images that look the same stay on one side, too; each is decoded once more.",
    ),
}


def source_options(grouped: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options beside the data, and gives the command a `toolkit.Source` as its `data`.

    Args:
        grouped: Also those that say which images belong together.
    """
    chosen = {**_OPTIONS, **(_GROUPS if grouped else {})}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(data: str | None, **options: Any) -> Any:
            from toolkit.data.source import Source

            how = {name: options.pop(name) for name in chosen}
            if data is not None:
                return command(data=Source(data, **how), **options)
            given = [f"--{name.replace('_', '-')}" for name, value in how.items() if value]
            if given:
                raise click.UsageError(f"{given[0]} says more of --data: give that, too.")
            return command(data=None, **options)

        for option in reversed(chosen.values()):
            option(run)
        return run

    return decorate


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


split_option = images_option(
    "--split",
    type=Shares(),
    default="auto",
    show_default=True,
    metavar="auto|SHARES",
    help="Shares of train, validation and test, where the data has no such folders or column. "
    "auto: 0.7,0.15,0.15 up to 10,000 images, towards 0.98,0.01,0.01 for a million.",
)


max_pixels_option = images_option(
    "--max-pixels",
    default=100_000_000,
    show_default=True,
    help="Larger images are refused before they are decoded.",
)

cache_size_option = speed_option(
    "--cache-size",
    default="20GB",
    show_default=True,
    metavar="SIZE",
    help="The cache's limit; what was not used for longest goes first. 0: no cache.",
)
