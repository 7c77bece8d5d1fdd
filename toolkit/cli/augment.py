"""`toolkit augment`."""

from typing import Any

import click

from toolkit.cli.source_options import source_options


@click.command()
@click.argument("data", metavar="SOURCE")
@click.option(
    "--policy",
    default="auto",
    show_default=True,
    metavar="POLICY|FILE",
    help="What finetune takes as --augment.",
)
@click.option(
    "--output",
    default="augmentations.png",
    show_default=True,
    metavar="FILE",
    help="The picture; one that is there is replaced.",
)
@click.option("--images", default=8, show_default=True, help="How many are shown.")
@click.option("--draws", default=6, show_default=True, help="Of each image.")
@click.option(
    "--image-size", default=224, show_default=True, metavar="PIXELS", help="Of the network's input."
)
@click.option(
    "--crop",
    default="center",
    show_default=True,
    metavar="center|squash|pad",
    help="As finetune's.",
)
@source_options()
@click.option("--seed", default=0, show_default=True, help="Another seed gives other draws.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def augment(**options: Any) -> None:
    """Draw what an augmentation policy makes of images.

    Each row is an image and what the first epochs of finetune see of it. A draw that no longer
    shows its class, as a mirrored letter, teaches the wrong thing: take a milder policy.

    \b
    Examples:
      toolkit augment ./images
      toolkit augment ./images --policy strong --output strong.png
      toolkit augment ./images --policy own.json --draws 10
    """
    from toolkit.cli.libraries import import_tensorflow_alone

    import_tensorflow_alone()
    from toolkit.augmenting import augment as run

    print(f"Written: {run(**options)}")
