"""Random changes to training images that leave their class what it is, through albumentations."""

import os
import random
import threading
import warnings
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import OptionError

if TYPE_CHECKING:
    import albumentations

POLICIES = ("none", "light", "light-no-flip")


def choose_policy(name: str, flips: bool) -> str:
    """The policy that a name stands for.

    Args:
        name: One of `POLICIES`, or "auto".
        flips: Whether a left-right flip leaves an image of this data in its class.

    Raises:
        OptionError: There is no such policy.
    """
    if name not in ("auto", *POLICIES):
        raise OptionError("--augment", f"one of auto, {', '.join(POLICIES)}", name)
    return name if name != "auto" else "light" if flips else "light-no-flip"


class Augmenter:
    """Draws a changed copy of each image of a batch.

    `light` shifts and scales by up to 6 %, rotates by up to 10 degrees (each together, in four of
    five images), changes brightness and contrast by up to 15 % (in half of them), and mirrors half
    of them left to right. `light-no-flip` leaves the mirroring out, for classes that it would
    change: digits, letters, signs.

    Args:
        policy: One of `POLICIES` except "none".

    Example:
        >>> seeds = np.array([[0, 0, 0], [0, 0, 1]])
        >>> Augmenter("light")(np.zeros([2, 32, 32, 3], np.uint8), seeds).shape
        (2, 32, 32, 3)
    """

    def __init__(self, policy: str) -> None:
        self._flip = policy == "light"
        # A transform carries its random state: threads that shared one would disturb each other.
        self._local = threading.local()

    def __call__(self, images: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Changes uint8 [N, H, W, 3], each image as its row of `seeds`, int64 [N, S], decides."""
        rows = np.asarray(seeds, "<i8")  # In one order of bytes on every machine.
        return np.stack([self._draw(*pair) for pair in zip(images, rows, strict=True)])

    def _draw(self, image: np.ndarray, seed: np.ndarray) -> np.ndarray:
        if not hasattr(self._local, "drawer"):
            self._local.drawer = _Drawer(_make_light(self._flip))
        return self._local.drawer(image, seed)


class _Drawer:
    """A transform whose steps all draw from one stream of numbers, which each image begins anew."""

    def __init__(self, transform: "albumentations.Compose") -> None:
        self._transform = transform
        # What `set_random_seed` makes for each step and image takes as long as some of the steps,
        # and would be the same for all steps. So these two are kept, and only their state is set.
        self._stream, self._bits = random.Random(), np.random.PCG64(0)
        self._state = self._bits.state
        transform.set_random_state(np.random.Generator(self._bits), self._stream)

    def __call__(self, image: np.ndarray, seed: np.ndarray) -> np.ndarray:
        self._stream.seed(seed.tobytes())  # Through SHA-512.
        self._state["state"]["state"] = self._stream.getrandbits(128)
        self._bits.state = self._state
        return self._transform(image=image)["image"]


def make_augmenter(policy: str) -> Augmenter | None:
    """The augmenter of a policy's name; None for "none"."""
    return None if policy == "none" else Augmenter(policy)


def _make_light(flip: bool) -> "albumentations.Compose":
    # Without this, albumentations asks the network for its newest version when it is imported.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albumentations
        import cv2
    move = albumentations.Affine(
        translate_percent=(-0.06, 0.06),
        scale=(0.94, 1.06),
        rotate=(-10, 10),
        border_mode=cv2.BORDER_REFLECT_101,
        p=0.8,
    )
    light = albumentations.RandomBrightnessContrast(0.15, 0.15, p=0.5)
    mirror = [albumentations.HorizontalFlip(p=0.5)] if flip else []
    return albumentations.Compose([move, light, *mirror])
