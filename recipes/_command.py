"""The command line that recipes share."""

import inspect
from collections.abc import Callable
from typing import Any

import click

from toolkit.errors import ToolkitError
from toolkit.result import ClassifyResult, FinetuneResult, summary


def run_recipe(recipe: Callable[..., FinetuneResult | ClassifyResult]) -> None:
    """Makes a command of a recipe: each of its parameters is an option."""

    def run(**options: Any) -> None:
        try:
            result = recipe(**options)
        except ToolkitError as error:
            raise click.UsageError(str(error)) from error
        saved = f"Saved: {result.path}"
        if isinstance(result, ClassifyResult) and result.path is None:
            saved = f"Not saved: {result.why_not_saved}."
        click.echo(f"Test: {summary(result.metrics['test'])}\n{saved}")

    command = click.command(help=recipe.__doc__)(run)
    for parameter in inspect.signature(recipe).parameters.values():
        command.params.append(_option(parameter))
    command()


def _option(parameter: inspect.Parameter) -> click.Option:
    name = "--" + parameter.name.replace("_", "-")
    if parameter.default is parameter.empty:
        return click.Option([name], required=True, help="What `toolkit finetune --data` takes.")
    return click.Option([name], default=parameter.default, show_default=True)
