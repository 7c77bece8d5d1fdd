"""The command `python -m benchmarks`."""

import importlib
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.registry import BENCHMARKS, Benchmark
from toolkit.cli.libraries import quiet_import
from toolkit.errors import ToolkitError, UnknownNameError

FOLDER = Path(__file__).parent / "results"
NAMES = "\n".join(f"  {each.name:<18}{each.summary}" for each in BENCHMARKS.values())
HELP = f"""Measure the toolkit against what one would do instead.

NAMES are those below; without any, all run, one after another.

\b
{NAMES}

\b
Examples:
  python -m benchmarks decode features --data ./images
  python -m benchmarks scaling --sizes 1000,10000
"""


class _Numbers(click.ParamType):
    """Whole numbers with commas between."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) < 1:
            self.fail(f"positive whole numbers with commas between. Received: {value}")
        return numbers


@click.command(help=HELP, context_settings={"max_content_width": 100})
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--data",
    default="sample:digits",
    show_default=True,
    metavar="SOURCE",
    help="A folder of class folders, or of photos (not for trainings); or sample:digits.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    show_default="benchmarks/results",
    help="Where NAME.json, NAME.png and NAME.md are written.",
)
@click.option("--backbone", default="efficientnet-lite0", show_default=True, metavar="NAME")
@click.option("--weights", default="imagenet", show_default=True, metavar="imagenet|random|PATH")
@click.option(
    "--image-size",
    type=click.IntRange(1),
    metavar="PIXELS",
    help="Of the network's input.  [default: the network's own; 64 for scaling]",
)
@click.option(
    "--repetitions",
    type=click.IntRange(1),
    metavar="ROUNDS",
    help="Rounds in which each contestant is measured once.  [default: each benchmark's own]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the first round of trainings; the next rounds have the next ones.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Of each training, to shorten it.  [default: each one's own]",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="IMAGES", help="Take at most so many images."
)
@click.option(
    "--sizes",
    type=_Numbers(),
    default=(1_000, 10_000, 60_000),
    show_default="1000,10000,60000",
    help="Numbers of images of scaling and audit.",
)
@click.pass_obj
def benchmarks(
    arguments: list[str],
    names: tuple[str, ...],
    output: Path,
    repetitions: int | None,
    **options: Any,
) -> int:
    """Runs benchmarks and gives the exit code; the help is `HELP`."""
    for name in names:
        if name not in BENCHMARKS:
            raise UnknownNameError("benchmark", name, BENCHMARKS)
    if not options["data"].startswith("sample:"):
        options["data"] = os.path.abspath(os.path.expanduser(options["data"]))
    command = shlex.join(["python", "-m", "benchmarks", *arguments])
    failed = False
    for benchmark in [BENCHMARKS[name] for name in names or BENCHMARKS]:
        options["repetitions"] = repetitions or benchmark.repetitions
        try:
            _run(benchmark, command, output, options)
        except ToolkitError as error:  # The others may run all the same.
            click.echo(f"Error in {benchmark.name}: {error}", err=True)
            failed = True
    return 2 if failed else 0


def _run(benchmark: Benchmark, command: str, output: Path, options: dict[str, Any]) -> None:
    with quiet_import():
        from benchmarks.machine import describe_machine
        from benchmarks.report import Report
        from benchmarks.settings import Settings

        module = importlib.import_module(benchmark.module)

    def say(line: str) -> None:
        click.echo(f"{benchmark.name}: {line}", err=True)

    machine, date = describe_machine(), datetime.now(UTC).isoformat(timespec="seconds")
    outcome = module.run(Settings(say=say, **options))
    report = Report(benchmark.name, str(module.__doc__), command, date, machine, outcome)
    report.print()
    report.write(output)
    click.echo(f"Written: {output / benchmark.name}.md, .json and .png\n")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; gives the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        return benchmarks(
            arguments, prog_name="python -m benchmarks", standalone_mode=False, obj=arguments
        )
    except ToolkitError as error:
        message = str(error)
    except click.UsageError as error:
        message = error.format_message()
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    click.echo(f"Error: {message}", err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
