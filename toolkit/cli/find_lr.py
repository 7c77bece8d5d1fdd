"""`toolkit find-lr`."""

import dataclasses
import json
from typing import Any

import click
import cloup

from toolkit.cli.finetune import finetune
from toolkit.cli.sections import images_option
from toolkit.cli.source_options import source_options

NOT_TAKEN = {
    "name",
    "models_dir",
    "learning_rate",
    "schedule",
    "warmup",
    "ema",
    "swa",
    "precision",
    "monitor",
    "min_delta",
    "patience",
    "time_budget",
    "tensorboard",
    "folds",
    "seeds",
    "snapshots",
    "teacher",
    "teacher_share",
    "teacher_temperature",
    "calibrate",
    "reject_below",
    "resume",
}
"""Options of finetune that do not matter here."""


def _finetunes_options(command: click.Command) -> click.Command:
    """Adds those options of finetune that decide what is trained."""
    own = {option.name for option in command.params}
    others = [p for p in finetune.params if p.name not in own | NOT_TAKEN]
    params = [*command.params, *others]
    return cloup.Command(command.name, params=params, callback=command.callback, help=command.help)


@_finetunes_options
@click.command("find-lr")
@images_option(
    "--data", required=True, metavar="SOURCE", help="As finetune's, like all that is not said here."
)
@click.option(
    "--output",
    default="learning-rates.png",
    show_default=True,
    metavar="FILE",
    help="The picture; one that is there is replaced.",
)
@click.option("--steps", default=100, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@source_options(grouped=True)
def find_lr(as_json: bool, **options: Any) -> None:
    """Find a learning rate for finetune: train some steps at ever higher ones.

    Everything up to there is as finetune does it, and is then in the cache. Nothing is trained for
    good. `toolkit finetune --learning-rate auto` does the same and goes on.

    \b
    Examples:
      toolkit find-lr --data ./images
      toolkit find-lr --data ./images --backbone resnet50 --unfreeze 2
    """
    from toolkit.cli.libraries import quiet_import

    with quiet_import():
        from toolkit.finding_lr import find_lr as run

    result = run(**options)
    if as_json:
        print(json.dumps({**dataclasses.asdict(result), "path": str(result.path)}))
        return
    print(f"Suggested: --learning-rate {result.suggestion:.2g} ({result.why})")
    print(f"Written:   {result.path}")
