"""A picture of what an augmentation policy makes of images, before anything is trained on it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.data.decode import MAX_PIXELS
from toolkit.data.policies import NONE, POLICIES, check_draws, choose_policy
from toolkit.data.prepare import CENTER, Preparation, check_crop
from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.views import Views
from toolkit.errors import NoClassesError, NoImagesError, NotWritableError, OptionError
from toolkit.files import appearing, naming_full_disk
from toolkit.options import check_whole
from toolkit.progress import Reporter
from toolkit.serving.records import draw_augmentations

if TYPE_CHECKING:
    import albumentations

SIZE = 224


def augment(
    data: str | os.PathLike[str] | Source,
    output: str | os.PathLike[str] = "augmentations.png",
    *,
    policy: "str | os.PathLike[str] | albumentations.BaseCompose" = "auto",
    images: int = 8,
    draws: int = 6,
    image_size: int = SIZE,
    crop: str = CENTER,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    quiet: bool = False,
) -> Path:
    """Draws a sheet of images, each with some of its augmented views.

    The views are those that `finetune` trains on with the same policy, size, crop and seed: column
    k is what epoch k sees.

    Args:
        data: A `toolkit.Source`, or its location alone.
        output: The PNG file to write; one that is there is replaced.
        policy: What `finetune` takes as `augment`.
        images: How many are shown, from all over the source.
        draws: Of each.
        image_size: Height and width in pixels that they are prepared for.
        crop: See `finetune`.
        max_pixels: Larger images are left out.
        seed: Another seed gives other draws.
        quiet: Show no progress.

    Returns:
        The picture's path.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> toolkit.augment("./images", policy="strong")
        PosixPath('augmentations.png')
    """
    for option, value in (("--images", images), ("--draws", draws), ("--image-size", image_size)):
        check_whole(option, value, 1)
    check_whole("--seed", seed, 0)
    check_crop(crop)
    path = Path(output).expanduser()
    if path.suffix.lower() != ".png":
        raise OptionError("--output", "a file whose name ends in .png", str(path))
    listing, name = list_source(data), as_source(data).location
    if not listing.files:
        raise NoClassesError(name, [])
    chosen = choose_policy(policy, listing.flips)
    if chosen == NONE:
        raise OptionError("--policy", f"one that draws: {', '.join(POLICIES[1:])}", NONE)
    check_draws(chosen, image_size, image_size)
    reporter = Reporter(quiet)
    table = scan(listing, max_pixels, reporter.progress)
    reporter.problems(table.problems, "problems.csv in a model's assets.extra")
    if not len(table):
        raise NoImagesError(name)
    preparation = Preparation(image_size, image_size, max_pixels, crop=crop)
    try:
        with naming_full_disk("the picture", path), appearing(path) as temporary:
            views = Views(chosen, seed, draws)
            draw_augmentations(table, preparation, views, temporary, images)
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise NotWritableError("--output", path.parent, error) from error
    return path
