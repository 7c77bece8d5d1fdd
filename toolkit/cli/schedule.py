"""`toolkit schedule`."""

from typing import Any

import click


@click.command()
@click.argument("name", default="all")
@click.option("--epochs", default=6, show_default=True, help="Of the run.")
@click.option(
    "--steps-per-epoch",
    default=100,
    show_default=True,
    help="Training images divided by the batch size.",
)
@click.option(
    "--learning-rate", type=float, help="The highest.  [default: AdamW's in finetune, 0.0003]"
)
@click.option(
    "--warmup",
    type=float,
    metavar="SHARE",
    help="Of the run, or of each cycle, over which the rate rises.  "
    "[default: 0.1; one-cycle: 0.45]",
)
@click.option(
    "--swa",
    default=0.0,
    is_flag=False,
    flag_value=0.25,
    metavar="[SHARE]",
    help="Last share of the run, over which the rate stays at half of the highest; alone: 0.25.  "
    "[default: none]",
)
@click.option(
    "--output", default="schedule.png", show_default=True, metavar="FILE", help="The picture."
)
def schedule(**options: Any) -> None:
    """Draw how the learning rate goes over a run.

    NAME is constant, step, exponential, polynomial, cosine, cosine-restarts, cosine-cycles-5 (or
    another number), one-cycle or plateau;
    without it all of them are drawn, side by side.

    Of plateau it draws the run in which validation never gets better than after its first epoch.

    \b
    Examples:
      toolkit schedule
      toolkit schedule one-cycle --epochs 12 --learning-rate 0.001
      toolkit schedule cosine --swa
    """
    from toolkit.scheduling import draw_schedule

    click.echo(f"Drawn: {draw_schedule(**options)}")
