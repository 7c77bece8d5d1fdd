"""Test-time augmentation: several views of an image, all inside the model."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import keras
from keras import ops

from toolkit.data.prepare import Preparation
from toolkit.errors import OptionError

FLIPS, CROPS, SCALES = KINDS = ("flips", "crops", "scales")

CROP_SHARE = 0.875
"""Of a side, that each crop shows: 224 of 256 pixels, as is usual for ImageNet."""

ZOOM = 1.15

CENTRE = (0.5, 0.5)
CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))


class View(NamedTuple):
    """One view of an image.

    Attributes:
        times: How many times as large as the network's input the image is prepared.
        place: Where the network's input is cut out of that, down and across: 0 to 1.
        mirrored: Whether left is right.
    """

    times: float
    place: tuple[float, float]
    mirrored: bool


def check_tta(tta: str | Sequence[str]) -> tuple[str, ...]:
    """The kinds of views that are asked for, each once.

    Args:
        tta: Some of `KINDS`, also as "flips,crops"; or none.

    Raises:
        OptionError: There is no such kind.
    """
    given = [kind for kind in tta.split(",") if kind] if isinstance(tta, str) else list(tta)
    if set(given) - set(KINDS):
        raise OptionError("--tta", f"one or more of {', '.join(KINDS)}, with commas between", tta)
    return tuple(kind for kind in KINDS if kind in given)


def views_of(tta: Sequence[str]) -> list[View]:
    """All views: the product of what each kind asks for.

    Example:
        >>> len(views_of(["flips", "crops"]))
        10
    """
    crop = 1 / CROP_SHARE if CROPS in tta else 1.0
    times = [crop, crop * ZOOM] if SCALES in tta else [crop]
    places = [CENTRE, *CORNERS] if CROPS in tta else [CENTRE]
    mirrored = [False, True] if FLIPS in tta else [False]
    return [View(*each) for each in itertools.product(times, places, mirrored)]


def with_views(
    model: keras.Model, preparations: Sequence[Preparation], tta: Sequence[str]
) -> tuple[keras.Model, tuple[Preparation, ...]]:
    """Makes a classifier that averages what it says of several views of each image.

    The views are one batch for the network, which so needs the memory of as many images.

    Args:
        model: float32 [N, H, W, 3], or a list of such, to probabilities [N, K].
        preparations: Of each of its inputs.
        tta: Some of `KINDS`. "flips": the image, and mirrored left to right. "crops": prepared
            1 / 0.875 times as large, the centre and the four corners. "scales": the image, and the
            centre of one prepared 1.15 times as large.

    Returns:
        The model, and the preparation of each of its inputs; an image is prepared once for each.

    Example:
        >>> model, preparations = with_views(classifier.model, classifier.preparations, ["flips"])
    """
    views = views_of(tta)
    grown = [[_grown(each, view.times) for view in views] for each in preparations]
    distinct = tuple(dict.fromkeys(itertools.chain(*grown)))
    inputs = {each: keras.Input((each.height, each.width, 3)) for each in distinct}
    batches = [
        ops.concatenate(
            [_cut(inputs[large], own, view) for large, view in zip(larger, views, strict=True)]
        )
        for own, larger in zip(preparations, grown, strict=True)
    ]
    probabilities = model(batches if len(batches) > 1 else batches[0], training=False)
    of_each = ops.reshape(probabilities, (len(views), -1, probabilities.shape[-1]))
    images = list(inputs.values())
    mean = ops.mean(of_each, axis=0)
    return keras.Model(images if len(images) > 1 else images[0], mean), distinct


def _grown(preparation: Preparation, times: float) -> Preparation:
    height, width = (round(side * times) for side in (preparation.height, preparation.width))
    return replace(preparation, height=height, width=width)


def _cut(images: keras.KerasTensor, own: Preparation, view: View) -> keras.KerasTensor:
    """A view of the network's own size, of images that are at least as large."""
    margins = images.shape[1] - own.height, images.shape[2] - own.width
    if any(margins):
        before = [round(share * margin) for share, margin in zip(view.place, margins, strict=True)]
        cuts = tuple((first, margin - first) for first, margin in zip(before, margins, strict=True))
        images = keras.layers.Cropping2D(cuts)(images)
    return ops.flip(images, axis=2) if view.mirrored else images
