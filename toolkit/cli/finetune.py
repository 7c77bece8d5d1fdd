"""`toolkit finetune`."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click
import cloup

from toolkit.cli.ensemble import print_ensemble
from toolkit.cli.head_options import head_options
from toolkit.cli.member_options import member_options, take_members
from toolkit.cli.network_options import features_engine_option, network_options
from toolkit.cli.saved import saved_json, saved_lines
from toolkit.cli.sections import images_option
from toolkit.cli.source_options import (
    SOURCE_HELP,
    cache_size_option,
    max_pixels_option,
    source_options,
)
from toolkit.cli.training_options import training_options
from toolkit.cli.trust_options import (
    answered_line,
    calibrate_option,
    calibration_line,
    reject_below_option,
)

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.result import FinetuneResult


@cloup.command()
@images_option(
    "--data",
    required=True,
    metavar="SOURCE",
    help=SOURCE_HELP,
)
@source_options(grouped=True)
@network_options
@head_options
@training_options
@member_options
@calibrate_option
@reject_below_option
@features_engine_option
@cache_size_option
@max_pixels_option
@click.option(
    "--seed",
    default=0,
    show_default=True,
    help="Of splits, initial weights, order, dropout and augmentation.",
)
@click.option(
    "--tensorboard",
    metavar="FOLDER",
    help="Also write a log for TensorBoard there: figures of each epoch, augmented images, the "
    "confusion matrix.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the unfinished run that had the same options."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def finetune(as_json: bool, **options: Any) -> None:
    """Train a classifier on a folder of labelled images.

    Reads and checks the images, splits them, computes the backbone's features once, fits a linear
    probe on them, fine-tunes the upper stages, keeps what is better on the validation images,
    measures it once on the test images, and saves it ready to be served. With several of
    --backbone, --folds, --seeds or --snapshots, it saves each classifier and their ensemble.

    \b
    Examples:
      toolkit finetune --data ./images
      toolkit finetune --data ./images --backbone resnet50 --unfreeze conv4
      toolkit finetune --data photos.csv --group-by patient
      toolkit finetune --data ./images --backbone resnet50,efficientnet-lite0
      toolkit finetune --data ./images --folds 5
      toolkit finetune --data sample:digits --epochs 3 --json
    """
    from toolkit.cli.libraries import quiet_import

    members = take_members(options)
    with quiet_import():
        if members is None:
            from toolkit.job import finetune as run
        else:
            from toolkit.making_members import finetune_members

    if members is None:
        result = run(**options)
        show = partial(_print, result)
    else:
        result = together = finetune_members(**members, **options)
        show = partial(print_ensemble, together)
    if as_json:
        print(saved_json(result))
    else:
        show()


def _print(result: "FinetuneResult") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table(result))
    console.print("\n".join(saved_lines(result.path)), soft_wrap=True, markup=False)


def _table(result: "FinetuneResult") -> "Table":
    from rich.table import Table

    metrics = result.metrics
    low, high = metrics["test"]["accuracy_ci95"]
    kept = {
        "probe": "the probe",
        "head": "the head, without fine-tuning",
        "finetuned": "the fine-tuned network",
    }[metrics["chosen"]]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("Kept", f"{kept}: {metrics['why']}")
    table.add_row(
        "Test accuracy",
        f"{metrics['test']['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}, "
        f"{metrics['test']['n']:,} images, measured once)",
    )
    table.add_row(
        "Test macro-F1, loss", f"{metrics['test']['macro_f1']:.3f}, {metrics['test']['loss']:.4f}"
    )
    if "selective" in metrics["test"]:
        table.add_row("Answered", answered_line(metrics["test"]["selective"]))
    if "calibration" in metrics:
        table.add_row("Calibration", calibration_line(metrics["calibration"]))
    parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.timings.items())
    table.add_row("Time", f"{sum(result.timings.values()):.0f} s: {parts}")
    return table
