"""`toolkit augment`."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.source_options import max_pixels_option, source_options

if TYPE_CHECKING:
    from toolkit.augmenting import AugmentResult


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
@click.option(
    "--backbone",
    default="efficientnet-lite0",
    show_default=True,
    metavar="NAME",
    help="The pretrained network that looks at the draws.",
)
@click.option(
    "--weights", default="imagenet", show_default=True, metavar="imagenet|PATH", help="Its weights."
)
@click.option(
    "--no-check",
    "check",
    flag_value=False,
    default=True,
    help="The picture alone, in half of the time or less.",
)
@source_options()
@max_pixels_option
@click.option("--seed", default=0, show_default=True, help="Another seed gives other draws.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def augment(as_json: bool, check: bool, **options: Any) -> None:
    """Draw what an augmentation policy makes of images, and check that it leaves their classes.

    Each row is an image and what the first epochs of finetune see of it. A draw that no longer
    shows its class, as a mirrored letter, teaches the wrong thing. So each of the policy's
    transforms is tested on images that a quick classifier is sure of: those that turn many of them
    into another class are named, and their worst draws are shown below.

    \b
    Examples:
      toolkit augment ./images
      toolkit augment ./images --policy strong --output strong.png
      toolkit augment ./images --policy own.json --draws 10 --no-check
    """
    from toolkit.cli.libraries import import_tensorflow_alone, quiet_import

    if check:
        with quiet_import():
            from toolkit import class_changes  # noqa: F401
    else:
        import_tensorflow_alone()
    from toolkit.augmenting import augment as run

    result = run(check=check, **options)
    if as_json:
        print(json.dumps({**dataclasses.asdict(result), "path": str(result.path)}))
    else:
        _print(result, check)


def _print(result: "AugmentResult", check: bool) -> None:
    print(f"Written: {result.path}")
    if result.unchecked:
        if check:
            print(f"Not checked whether classes stay what they are: {result.unchecked}.")
        return
    for warning in result.warnings:
        print(f"{warning}.")
    if result.policy and not result.warnings:
        print(
            f"Checked on {result.tested} images: {result.policy.turned:.0%} of the draws are taken "
            "for another class; no transform stands out."
        )
