"""`toolkit ensemble`."""

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.joining import joining_options, members_table
from toolkit.cli.saved import saved_json, saved_lines
from toolkit.cli.trust_options import answered_line, calibration_line, reject_below_option

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.data.source import Source
    from toolkit.result import EnsembleResult


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--name", required=True, help="To save under.")
@click.option(
    "--average",
    default="auto",
    show_default=True,
    metavar="auto|arithmetic|geometric|majority",
    help="How the members' probabilities become one. auto: geometric with --calibrate, or else "
    "arithmetic.",
)
@click.option(
    "--weights",
    default="equal",
    show_default=True,
    metavar="equal|convex|greedy|NUMBERS",
    help="The members' shares, as 0.5,0.3,0.2, or how they are found on common validation images.",
)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Scale the average by a temperature, found on common validation images, so that it is as "
    "sure as it is right.",
)
@reject_below_option
@click.option(
    "--tta",
    default="",
    metavar="flips,crops,scales",
    help="Let each member average what it says of several views of the image: mirrored, its centre "
    "and corners, magnified; or the product of these. With it, one model is enough.",
)
@joining_options
def ensemble(models: tuple[str, ...], data: "Source | None", as_json: bool, **options: Any) -> None:
    """Average saved classifiers: one model out of several.

    MODELS are models/NAME (its newest version) or models/NAME/VERSION. They may differ in backbone
    and image size; classes are matched by name. Make them with one --data and --seed, so that there
    are images that none of them has seen: on these all are measured, once. What is saved is served
    as any other model.

    \b
    Examples:
      toolkit ensemble models/lite0 models/lite1 models/lite2 --name together
      toolkit ensemble models/lite0 models/lite1 --name two --weights convex
      toolkit ensemble models/a models/b --name two --average geometric --weights 0.7,0.3
      toolkit ensemble models/a --name views --tta crops
    """
    from toolkit.cli.libraries import quiet_import

    with quiet_import():
        from toolkit.ensembling import ensemble as run

    result = run(models, data=data, **options)
    if as_json:
        print(saved_json(result))
    else:
        print_ensemble(result)


def print_ensemble(result: "EnsembleResult") -> None:
    """Shows what was measured, and where it was saved."""
    from rich.console import Console

    console = Console(highlight=False)
    metrics = result.metrics
    console.print(_table(metrics))
    why = metrics["why"]
    lines = [
        f"{why[0].upper()}{why[1:]}.",
        *_views(metrics),
        calibration_line(metrics["calibration"]),
        *map(answered_line, filter(None, [metrics["test"].get("selective")])),
        *([_out_of_fold(metrics["out_of_fold"])] if "out_of_fold" in metrics else []),
        *saved_lines(result.path),
    ]
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def _views(metrics: dict[str, Any]) -> list[str]:
    if "views" not in metrics:
        return []
    gain = metrics["views"]["gain"]
    low, high = gain["loss_ci95"]
    return [
        f"Several views of each image save {gain['loss']:+.4f} of log-loss (95 % interval "
        f"{low:+.4f} to {high:+.4f}) and gain {gain['accuracy']:+.2%} accuracy."
    ]


def _out_of_fold(figures: dict[str, Any]) -> str:
    return (
        f"Out of fold: {figures['accuracy']:.2%} accuracy and log-loss {figures['loss']:.4f} on "
        f"{figures['n']:,} images, each judged by members that were not trained on it."
    )


def _table(metrics: dict[str, Any]) -> "Table":
    from rich.text import Text

    table = members_table(metrics, ("weight", "accuracy", "log-loss", "saves", "ms", "MB"))
    for member in metrics["members"]:
        without = member["without"]
        saves = f"{without['loss_saved']:+.4f}" if without else ""
        weight = f"{member['weight']:.3f}"
        table.add_row(Text(member["name"]), weight, *_figures(member["test"], saves, member))
    if "views" in metrics:
        without = metrics["views"]["without"]
        table.add_row("without views", "", f"{without['accuracy']:.2%}", f"{without['loss']:.4f}")
    table.add_row("together", "", *_figures(metrics["test"], "", metrics), style="bold")
    return table


def _figures(test: dict[str, Any], saves: str, cost: dict[str, Any]) -> list[str]:
    """Of a row: accuracy, loss, what the member saves the ensemble, and what it costs."""
    return [
        f"{test['accuracy']:.2%}",
        f"{test['loss']:.4f}",
        saves,
        f"{cost['latency_ms']:.1f}",
        f"{cost['bytes'] / 1e6:.1f}",
    ]
