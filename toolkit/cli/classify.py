"""`toolkit classify`."""

import json
from typing import TYPE_CHECKING, Any

import click
import cloup

from toolkit.cli.head_options import pooling_option
from toolkit.cli.network_options import features_engine_option, network_options
from toolkit.cli.saved import saved_lines
from toolkit.cli.sections import classifier_option, images_option
from toolkit.cli.source_options import (
    SOURCE_HELP,
    cache_size_option,
    max_pixels_option,
    source_options,
)
from toolkit.cli.trust_options import (
    answered_line,
    calibrate_option,
    calibration_line,
    reject_below_option,
)

if TYPE_CHECKING:
    from toolkit.result import ClassifyResult


@cloup.command()
@images_option("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
@source_options(grouped=True)
@network_options
@classifier_option(
    "--classifier",
    default="logistic",
    show_default=True,
    metavar="logistic|linear-svm|ridge|knn|rbf-svm",
    help="What is fitted on the features. knn and rbf-svm are measured, but cannot be saved.",
)
@classifier_option(
    "--layer",
    metavar="NAME",
    help="The stage, or any layer, that gives the features; `toolkit backbones NAME` lists the "
    "stages.  [default: the last]",
)
@pooling_option
@calibrate_option
@reject_below_option
@features_engine_option
@cache_size_option
@max_pixels_option
@click.option("--seed", default=0, show_default=True, help="Of splits and random weights.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def classify(as_json: bool, **options: Any) -> None:
    """Fit a classifier of scikit-learn on the features of any layer of a frozen network.

    Hyper-parameters are chosen on the validation images, and the test images are measured once.
    Linear classifiers are saved ready to be served, as finetune's are.

    \b
    Examples:
      toolkit classify --data ./images --classifier linear-svm
      toolkit classify --data ./images --backbone resnet50 --layer conv4 --classifier knn
      toolkit classify --data sample:digits --pooling avg+max --json
    """
    from toolkit.cli.libraries import quiet_import

    with quiet_import():
        from toolkit.classifying import classify as run

    result = run(**options)
    if as_json:
        path = str(result.path) if result.path else None
        record = {"path": path, "why_not_saved": result.why_not_saved}
        print(json.dumps({**record, **result.metrics, "run": result.run}))
    else:
        _print(result)


def _print(result: "ClassifyResult") -> None:
    from rich.console import Console
    from rich.table import Table

    from toolkit.result import summary

    console = Console(highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("Fitted", result.metrics["why"])
    table.add_row("Validation", f"{summary(result.metrics['validation'])}; it chose the setting")
    table.add_row("Test", f"{summary(result.metrics['test'])}; measured once")
    if "selective" in result.metrics["test"]:
        table.add_row("Answered", answered_line(result.metrics["test"]["selective"]))
    if "calibration" in result.metrics:
        table.add_row("Calibration", calibration_line(result.metrics["calibration"]))
    parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.timings.items())
    table.add_row("Time", f"{sum(result.timings.values()):.0f} s: {parts}")
    console.print(table)
    not_saved = [f"Not saved: {result.why_not_saved}."]
    lines = saved_lines(result.path) if result.path else not_saved
    console.print("\n".join(lines), soft_wrap=True, markup=False)
