"""A picture of what an augmentation policy makes of images, before anything is trained on it."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.data.policies import NO_FLIP, NONE, POLICIES, check_draws, choose_policy
from toolkit.data.prepare import CENTER, Preparation, check_crop
from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.table import MAX_PIXELS, ImageTable
from toolkit.data.views import Views
from toolkit.errors import NoClassesError, NoImagesError, OptionError
from toolkit.evaluation.class_changes import ClassChange
from toolkit.evaluation.pictures import TurnedPair
from toolkit.option_checks import check_whole
from toolkit.output_files import drawn_to, picture_path
from toolkit.progress import Reporter
from toolkit.serving.records import draw_augmentations, turned_pairs

if TYPE_CHECKING:
    import albumentations

    from toolkit.class_changes import PolicyCheck

SIZE = 224

DEAR = 0.05
"""From this loss of the images' own probability on, a transform makes classes hard to tell."""

SHOWN_PAIRS = 6


@dataclass(frozen=True)
class AugmentResult:
    """The sheet, and what the policy's transforms do to the images' classes.

    Attributes:
        path: Of the picture.
        tested: How many images the transforms were tested with.
        transforms: What each does alone, in the policy's order.
        policy: What the whole policy does; None where nothing was tested.
        warnings: A line for each transform that often turns images into another class.
        unchecked: Why nothing was tested, or "".
    """

    path: Path
    tested: int
    transforms: list[ClassChange]
    policy: ClassChange | None
    warnings: list[str]
    unchecked: str


def augment(
    data: str | os.PathLike[str] | Source,
    output: str | os.PathLike[str] = "augmentations.png",
    *,
    policy: "str | os.PathLike[str] | albumentations.BaseCompose" = "auto",
    images: int = 8,
    draws: int = 6,
    image_size: int = SIZE,
    crop: str = CENTER,
    backbone: str = "efficientnet-lite0",
    weights: str | os.PathLike[str] = "imagenet",
    check: bool = True,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    quiet: bool = False,
) -> AugmentResult:
    """Draws a sheet of images with some of their augmented views, and warns of changed classes.

    The views are those that `finetune` trains on with the same policy, size, crop and seed: column
    k is what epoch k sees.

    The check draws from each of the policy's transforms alone and asks a probe, fitted on other
    images, for the draws' classes. It finds flips that turn b into d; it also finds those that
    make what the images never show, as left hands, which look like other classes until they are
    trained on: `ClassChange.cost` and the warnings tell the two apart.

    Args:
        data: A `toolkit.Source`, or its location alone.
        output: The PNG file to write; one that is there is replaced.
        policy: What `finetune` takes as `augment`.
        images: How many are shown, from all over the source.
        draws: Of each.
        image_size: Height and width in pixels that they are prepared for.
        crop: See `finetune`.
        backbone: The pretrained network that looks at the draws.
        weights: See `finetune`.
        check: Whether draws are tested; without, the sheet is done in half of the time or less.
        max_pixels: Larger images are left out.
        seed: Another seed gives other draws.
        quiet: Show no progress.

    Returns:
        The result: its `warnings` are what the command prints.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> toolkit.augment("./letters", policy="light").transforms[-1].pairs[0]
        ('d', 'b', 1.0)
    """
    for option, value in (("--images", images), ("--draws", draws), ("--image-size", image_size)):
        check_whole(option, value, 1)
    check_whole("--seed", seed, 0)
    check_crop(crop)
    path = picture_path(output)
    reporter = Reporter(quiet)
    listing, name = list_source(data, reporter.progress), as_source(data).location
    if not listing.files:
        raise NoClassesError(name, [])
    chosen = choose_policy(policy, listing.flips)
    if chosen == NONE:
        raise OptionError("--policy", f"one that draws: {', '.join(POLICIES[1:])}", NONE)
    check_draws(chosen, image_size, image_size)
    table = scan(listing, max_pixels, reporter.progress)
    reporter.problems(table.problems, "problems.csv in a model's assets.extra")
    if not len(table):
        raise NoImagesError(name)
    preparation = Preparation(image_size, image_size, max_pixels, crop=crop)
    result = AugmentResult(path, 0, [], None, [], "it was not asked for")
    turned = []
    if check:
        result, found = _checked(
            result, chosen, table, preparation, backbone, weights, seed, reporter
        )
        turned = _turned_rows(found, preparation, seed) if found else []
    with drawn_to(path) as temporary:
        views = Views(chosen, seed, draws)
        draw_augmentations(table, preparation, views, temporary, images, turned)
    return result


def _checked(
    result: AugmentResult,
    policy: str,
    table: ImageTable,
    preparation: Preparation,
    backbone: str,
    weights: str | os.PathLike[str],
    seed: int,
    reporter: Reporter,
) -> "tuple[AugmentResult, PolicyCheck | None]":
    # Late, as they import Keras, which the sheet alone does without.
    from toolkit import backbones
    from toolkit.class_changes import UncheckedError, check_policy, choose_images

    try:
        choose_images(table)  # Before the network is built.
        network = backbones.load(
            backbone, weights=os.fspath(weights), image_size=preparation.height
        )
        found = check_policy(policy, table, network, preparation, seed, reporter)
    except UncheckedError as error:
        return replace(result, unchecked=str(error)), None
    lines = warnings_of(policy, found.changes, found.policy)
    return AugmentResult(
        result.path, len(found.images), found.changes, found.policy, lines, ""
    ), found


def warnings_of(policy: str, changes: list[ClassChange], whole: ClassChange) -> list[str]:
    """A line for each transform that often turns images into another class, and what to do.

    Args:
        policy: As `choose_policy` gives it.
        changes: Of its transforms.
        whole: Of the policy itself, which is warned of where none of its transforms is.
    """
    often = [change for change in changes if change.often]
    if not often and whole.often:
        return [f"{_finding(whole)}: take a milder policy"]
    return [f"{_finding(change)}. {_advice(change, policy)}" for change in often]


def _finding(change: ClassChange) -> str:
    label, other, share = change.pairs[0]
    if change.cost is not None and change.cost >= DEAR:
        verb, like = f"turns {change.turned:.0%} of {change.draws:,} draws into", "into"
    else:
        verb, like = f"makes {change.turned:.0%} of {change.draws:,} draws look like", "like"
    often = f"most often {label!r} {like} {other!r} ({share:.0%} of its draws)"
    return f"{change.name} {verb} another class, {often}"


def _advice(change: ClassChange, policy: str) -> str:
    mirrors = change.name == "HorizontalFlip" and policy in POLICIES
    instead = f"take {policy}{NO_FLIP}" if mirrors else "take a milder policy"
    instead = instead if policy in POLICIES else "leave it out"
    cost = change.cost or 0.0
    lost = f"{max(cost, 0):.1%} of a probe's certainty about the images themselves"
    if cost >= DEAR:
        return f"Learning from them costs {lost}: {instead}"
    return f"Learning from them costs {lost}: if no such images come in use, {instead}"


def _turned_rows(
    found: "PolicyCheck", preparation: Preparation, seed: int
) -> list[tuple[str, list[TurnedPair]]]:
    pairs = zip(found.parts, found.changes, strict=True)
    return [
        (
            f"{_finding(change)}:",
            turned_pairs(
                found.images,
                preparation,
                Views(part.policy, seed, 1),
                change.worst[:SHOWN_PAIRS],
            ),
        )
        for part, change in pairs
        if change.often
    ]
