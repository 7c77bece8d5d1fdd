"""`toolkit classify`."""

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.head_options import pooling_option
from toolkit.cli.source_options import (
    SOURCE_HELP,
    cache_size_option,
    max_pixels_option,
    source_options,
    split_option,
)

if TYPE_CHECKING:
    from toolkit.result import ClassifyResult


@click.command()
@click.option("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
@source_options(grouped=True)
@click.option(
    "--backbone",
    default="efficientnet-lite0",
    show_default=True,
    metavar="NAME",
    help="The pretrained network; `toolkit backbones` lists them.",
)
@click.option(
    "--classifier",
    default="logistic",
    show_default=True,
    metavar="logistic|linear-svm|ridge|knn|rbf-svm",
    help="What is fitted on the features. knn and rbf-svm are measured, but cannot be saved.",
)
@click.option(
    "--layer",
    metavar="NAME",
    help="The stage, or any layer, that gives the features; `toolkit backbones NAME` lists the "
    "stages.  [default: the last]",
)
@pooling_option
@click.option("--name", help="To save under.  [default: the data folder's name]")
@click.option(
    "--models-dir",
    default="models",
    show_default=True,
    metavar="FOLDER",
    help="Where models are saved.",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|random|PATH",
    help="The network's.",
)
@click.option(
    "--weights-mirror",
    metavar="URL",
    help="Own web server with the published weights.  [default: $TOOLKIT_WEIGHTS_MIRROR]",
)
@click.option(
    "--image-size",
    type=int,
    metavar="PIXELS",
    help="Height and width of the network's input.  [default: the network's own]",
)
@click.option(
    "--crop",
    default="center",
    show_default=True,
    metavar="center|squash|pad",
    help="How an image gets the network's aspect ratio.",
)
@click.option(
    "--normalize",
    default="backbone",
    show_default=True,
    metavar="backbone|channel-mean|channel-mean-std|mean-image|pca|zca",
    help="As the network's weights expect, or by statistics of the training images.",
)
@split_option
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    metavar="auto|keras|openvino-float32|openvino-mixed|openvino-bfloat16",
    help="What runs the network. auto: the fastest here that agrees with Keras.",
)
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
    parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.timings.items())
    table.add_row("Time", f"{sum(result.timings.values()):.0f} s: {parts}")
    console.print(table)
    if result.path is None:
        lines = [f"Not saved: {result.why_not_saved}."]
    else:
        model = os.path.relpath(result.path.parent)
        lines = [
            f"Saved: {os.path.relpath(result.path)} (records and pictures in assets.extra)",
            f"Next:  toolkit predict {shlex.quote(model)} PHOTO...",
        ]
    console.print("\n".join(lines), soft_wrap=True, markup=False)
