"""Augmentation policies: albumentations' pipelines by name, or a user's own.

A policy is a text: one of `POLICIES`, or a pipeline as albumentations itself writes it in JSON. So
it goes into a run's options and the cache's keys as it is.
"""

import json
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.pipelines import (
    SUFFIXES,
    build_pipeline,
    import_albumentations,
    one_line,
    pipeline_text,
    read_pipeline,
)
from toolkit.errors import OptionError

if TYPE_CHECKING:
    import albumentations

NONE, NO_FLIP = "none", "-no-flip"
FLIPPING = ("light", "standard", "strong", "trivial", "randaugment")
POLICIES = (NONE, *(name + end for name in FLIPPING for end in ("", NO_FLIP)))

RANDAUGMENT_STRENGTH = 0.3
"""9 of 30 magnitudes."""

TRIAL_DRAWS = 16
OWN = "the pipeline"


def choose_policy(
    augment: "str | os.PathLike[str] | albumentations.BaseCompose", flips: bool
) -> str:
    """The policy that a name, a file or a pipeline stands for.

    Args:
        augment: One of `POLICIES`; "auto": light, without flips where these change a class; the
            path of a JSON or YAML file that `albumentations.save` wrote; or a pipeline.
        flips: Whether a left-right flip leaves an image of this data in its class.

    Raises:
        OptionError: There is no such policy, or it cannot be used on images alone.
    """
    if not isinstance(augment, str | os.PathLike):
        return pipeline_text(import_albumentations()[0].to_dict(augment))
    name = os.fspath(augment)
    if name == "auto":
        return "light" if flips else "light" + NO_FLIP
    if name in POLICIES:
        return name
    if Path(name).suffix.lower() not in SUFFIXES:
        rule = f"one of auto, {', '.join(POLICIES)}, or a JSON or YAML file of albumentations"
        raise OptionError("--augment", rule, name)
    return read_pipeline(Path(name).expanduser())


def make_transform(policy: str) -> "albumentations.Compose":
    """The pipeline of a policy, as `choose_policy` gives it, other than "none"."""
    library, cv2 = import_albumentations()
    if policy.startswith("{"):
        return library.Compose([build_pipeline(json.loads(policy), OWN)])
    name = policy.removesuffix(NO_FLIP)
    mirror = [] if policy.endswith(NO_FLIP) else [library.HorizontalFlip(p=0.5)]
    return library.Compose([*_steps(name, library, cv2.BORDER_REFLECT_101), *mirror])


def check_draws(policy: str, height: int, width: int) -> None:
    """Refuses a user's pipeline that fails on images, or changes their size or type.

    Raises:
        OptionError: It does.
    """
    if not policy.startswith("{"):
        return
    transform = make_transform(policy)
    transform.set_random_seed(0)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    for _ in range(TRIAL_DRAWS):
        try:
            drawn = transform(image=image)["image"]
        except (
            Exception
        ) as error:  # Whatever it is, a user's pipeline has raised it, and it is told.
            rule = f"a pipeline that works on images alone ({one_line(error)})"
            raise OptionError("--augment", rule, OWN) from error
        if drawn.shape != image.shape or drawn.dtype != np.uint8:
            rule = f"a pipeline that leaves images uint8, {height} x {width} x 3; it made one "
            raise OptionError("--augment", rule + f"{drawn.dtype}, {drawn.shape}", OWN)


def _steps(name: str, library: ModuleType, border: int) -> list[Any]:
    """The steps of a named policy but for the mirroring."""

    def move(**how: Any) -> Any:
        return library.Affine(border_mode=border, **how)

    if name == "light":
        shift = move(translate_percent=(-0.06, 0.06), scale=(0.94, 1.06), rotate=(-10, 10), p=0.8)
        return [shift, library.RandomBrightnessContrast(0.15, 0.15, p=0.5)]
    if name == "standard":
        shift = move(translate_percent=(-0.1, 0.1), scale=(0.85, 1.25), rotate=(-15, 15), p=0.9)
        return [shift, library.ColorJitter(0.2, 0.2, 0.2, (-0.02, 0.02), p=0.8)]
    if name == "strong":
        shift = move(
            translate_percent=(-0.15, 0.15),
            scale=(0.7, 1.5),
            rotate=(-25, 25),
            shear=(-10, 10),
            p=1.0,
        )
        return [
            shift,
            library.ColorJitter(0.4, 0.4, 0.4, (-0.05, 0.05), p=0.8),
            library.OneOf([library.GaussianBlur(p=1.0), library.ToGray(p=1.0)], p=0.1),
            library.CoarseDropout((1, 3), (0.1, 0.25), (0.1, 0.25), p=0.5),
        ]
    if name == "trivial":
        return [library.OneOf(_operations(library, move, 1.0), p=1.0)]
    some = _operations(library, move, RANDAUGMENT_STRENGTH)
    return [library.SomeOf(some, n=2, replace=True, p=1.0)]


def _operations(library: ModuleType, move: Any, strength: float) -> list[Any]:
    """The 14 of TrivialAugment's wide space, each up to a share of its greatest strength."""

    def colour(**ranges: tuple[float, float]) -> Any:
        still = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
        return library.ColorJitter(**{**still, **ranges}, p=1.0)

    angle, shift, turn, most = 45 * strength, 0.14 * strength, 135 * strength, 0.99 * strength
    around = (1 - most, 1 + most)
    return [
        library.NoOp(p=1.0),
        move(shear={"x": (-angle, angle), "y": (0, 0)}, p=1.0),
        move(shear={"x": (0, 0), "y": (-angle, angle)}, p=1.0),
        move(translate_percent={"x": (-shift, shift), "y": (0, 0)}, p=1.0),
        move(translate_percent={"x": (0, 0), "y": (-shift, shift)}, p=1.0),
        move(rotate=(-turn, turn), p=1.0),
        colour(brightness=around),
        colour(contrast=around),
        colour(saturation=around),
        library.Sharpen((0.0, most), p=1.0),
        library.Posterize((8 - round(6 * strength), 8), p=1.0),
        library.Solarize((1 - strength, 1.0), p=1.0),
        library.AutoContrast(p=1.0),
        library.Equalize(p=1.0),
    ]
