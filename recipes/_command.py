"""The command line that recipes share."""

from collections.abc import Callable

import click

from toolkit.errors import ToolkitError
from toolkit.result import FinetuneResult, summary


def run_recipe(recipe: Callable[..., FinetuneResult]) -> None:
    """Makes a command of a recipe: `--data`, `--backbone`, `--models-dir`, `--seed`."""

    @click.command(help=recipe.__doc__)
    @click.option("--data", required=True, help="What `toolkit finetune --data` takes.")
    @click.option("--backbone", default="efficientnet-lite0", show_default=True)
    @click.option("--models-dir", default="models", show_default=True)
    @click.option("--seed", default=0, show_default=True)
    def command(data: str, backbone: str, models_dir: str, seed: int) -> None:
        try:
            result = recipe(data, backbone=backbone, models_dir=models_dir, seed=seed)
        except ToolkitError as error:
            raise click.UsageError(str(error)) from error
        click.echo(f"Test: {summary(result.metrics['test'])}\nSaved: {result.path}")

    command()
