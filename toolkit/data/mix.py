"""MixUp and CutMix: the images of a batch mixed in pairs, and their labels with them."""

from collections.abc import Sequence

import numpy as np

from toolkit.choices import check_choice
from toolkit.errors import OptionError

NONE, MIXUP, CUTMIX, EITHER = MIXES = ("none", "mixup", "cutmix", "mixup+cutmix")
"""How images are mixed: not at all, in one way, or in one of the two that each batch draws."""

ALPHA = {MIXUP: 0.2, CUTMIX: 1.0}
"""Of the Beta distribution that shares are drawn from, both its parameters: the papers' values."""

_STREAM = 2
"""Keeps the draws apart from those of the order, which has the same seed and epoch."""


def check_mix(mix: str, views: int | None) -> None:
    """Refuses what is no way of mixing, and cached views where images are mixed.

    Raises:
        OptionError: It is none, or `views` asks for some.
    """
    check_choice("--mix", mix, MIXES)
    if mix != NONE and views:
        rule = f"0 or left out with --mix {mix}, which mixes other images in each epoch"
        raise OptionError("--views", rule, views)


def mix_batch(
    images: np.ndarray, labels: np.ndarray, classes: int, mix: str, seeds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Mixes each image of a batch with a partner, and their labels in the same shares.

    Partners are a permutation of the batch, so each image is seen about as much as without mixing;
    shares, or the box, are drawn once for the batch. An image may be its own partner, and is
    then left as it is: so is a batch of one image.

    Args:
        images: float32 [B, H, W, 3].
        labels: int [B], 0 to K - 1.
        classes: K.
        mix: One of `MIXES` but "none".
        seeds: Whole numbers, at least 0, from which alone all that is drawn follows.

    Returns:
        Images float32 [B, H, W, 3], and targets float32 [B, K]: the classes' shares in each image,
        which sum to 1.

    Example:
        >>> images = np.zeros([4, 32, 32, 3], np.float32)
        >>> mixed, targets = mix_batch(images, np.array([0, 1, 2, 1]), 3, "cutmix", [0])
        >>> targets.shape
        (4, 3)
    """
    random = np.random.default_rng([_STREAM, *seeds])
    targets = one_hot(labels, classes)
    partners = random.permutation(len(images))
    way = (MIXUP, CUTMIX)[random.integers(2)] if mix == EITHER else mix
    share = random.beta(ALPHA[way], ALPHA[way])
    if way == MIXUP:
        return mixup(images, targets, partners, share)
    _, height, width, _ = images.shape
    return cutmix(images, targets, partners, draw_box(random, height, width, share))


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels int [B] as targets float32 [B, K]: 1 for the image's class, 0 for all others."""
    targets = np.zeros([len(labels), classes], np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def mixup(
    images: np.ndarray, targets: np.ndarray, partners: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Each image and target times `1 - share`, plus its partner's times `share`.

    Args:
        images: float32 [B, H, W, 3].
        targets: float32 [B, K].
        partners: A permutation of the batch: int [B].
        share: The partner's, 0 to 1.

    See Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.
    """
    return _blend(images, images[partners], share), _blend(targets, targets[partners], share)


def cutmix(
    images: np.ndarray,
    targets: np.ndarray,
    partners: np.ndarray,
    box: tuple[int, int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Each image with a box of its partner's pixels, whose share of the area is the target's.

    Args:
        images: float32 [B, H, W, 3].
        targets: float32 [B, K].
        partners: A permutation of the batch: int [B].
        box: Its top, bottom, left and right, the second and fourth just beyond it, in pixels.

    See Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", 2019.
    """
    top, bottom, left, right = box
    mixed = images.copy()
    mixed[:, top:bottom, left:right] = images[partners, top:bottom, left:right]
    share = (bottom - top) * (right - left) / (images.shape[1] * images.shape[2])
    return mixed, _blend(targets, targets[partners], share)


def draw_box(
    random: np.random.Generator, height: int, width: int, share: float
) -> tuple[int, int, int, int]:
    """A box of the image's aspect ratio around any of its pixels, cut off at its borders.

    Args:
        random: What it is drawn with.
        height: The image's, in pixels.
        width: The image's, in pixels.
        share: Of the image's area that the box would have if it lay inside, 0 to 1.

    Returns:
        Top, bottom, left and right, the second and fourth just beyond it.
    """
    top, bottom = _draw_side(random, height, share)
    left, right = _draw_side(random, width, share)
    return top, bottom, left, right


def _draw_side(random: np.random.Generator, length: int, share: float) -> tuple[int, int]:
    side = int(length * np.sqrt(share))
    start = int(random.integers(length)) - side // 2
    return max(0, start), min(length, start + side)


def _blend(own: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    # Written so, what is blended with itself stays the same to the bit.
    return own + np.float32(share) * (others - own)
