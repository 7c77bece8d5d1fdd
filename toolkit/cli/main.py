"""The command `toolkit`: finds the verb's file, and turns a user's error into a line and exit 2."""

import contextlib
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

VERBS = {
    "finetune": "Train a classifier on a folder of labelled images.",
    "find-lr": "Find a learning rate for finetune.",
    "classify": "Fit a classifier of scikit-learn on features of any layer.",
    "ensemble": "Average saved classifiers: one model out of several.",
    "soup": "Average saved classifiers' weights: one model of the same size.",
    "predict": "Predict images with a saved classifier.",
    "audit": "Look for what is wrong with images before training on them.",
    "split": "Write splits, or folds, as tables that every command reads.",
    "augment": "Draw what an augmentation policy makes of images.",
    "schedule": "Draw how the learning rate goes over a run.",
    "evaluate": "Measure a saved classifier on labelled images.",
    "backbones": "List the pretrained networks.",
    "cache": "Show or clear what is kept to be faster next time.",
}


class _Verbs(click.Group):
    """Imports a verb's module only when it is asked for: help must be fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = cmd_name.replace("-", "_")
        return getattr(importlib.import_module(f"toolkit.cli.{module}"), module)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="toolkit")
@click.pass_context
def toolkit(context: click.Context) -> None:
    """From a folder of photos to a served image classifier.

    \b
    Examples:
      toolkit finetune --data ./images
      toolkit predict models/images photo.jpg
      toolkit evaluate models/images --data ./more-images
      toolkit backbones
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> NoReturn:
    """Runs the command line and ends the process.

    It ends at once, as everything is written: in an orderly end, a thread of TensorFlow that is
    still in Python code, as after Ctrl-C, would abort it.
    """
    code = run(sys.argv[1:])
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()  # Also what an interrupted command has printed.
    sys.stderr.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs the command line; gives the exit code."""
    _calm_libraries()
    for stream in (sys.stdout, sys.stderr):  # Whatever a terminal cannot show is escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code, message = _run(arguments)
    if message:  # Only now is the error gone, and with it a progress bar that it stopped.
        print(message, file=sys.stderr)
    return code


def _run(arguments: Sequence[str]) -> tuple[int, str]:
    from toolkit.errors import ToolkitError

    try:
        code = toolkit(arguments, prog_name="toolkit", standalone_mode=False)
        sys.stdout.flush()
        return code or 0, ""
    except BrokenPipeError:  # The reader, as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1, ""
    except ToolkitError as error:
        return 2, f"Error: {error}"
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "toolkit"
        return 2, f"Error: {error.format_message()}\nOptions and examples: {command} --help"
    except click.Abort:
        return 130, "Interrupted. finetune goes on from there with --resume."


def _calm_libraries() -> None:
    """Keeps the libraries' own notices off the screen, and lets the toolkit's warnings through."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    logging.getLogger("toolkit").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
