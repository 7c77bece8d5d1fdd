"""Random changes to training images that leave their class what it is, through albumentations."""

import random
import threading
from typing import TYPE_CHECKING

import numpy as np

from toolkit.data.policies import NONE, make_transform

if TYPE_CHECKING:
    import albumentations


class Augmenter:
    """Draws a changed copy of each image of a batch.

    `light` shifts and scales by up to 6 %, rotates by up to 10 degrees (each together, in four of
    five images), changes brightness and contrast by up to 15 % (in half of them), and mirrors half
    of them left to right. `standard` does more of that, and changes colours; `strong` still more,
    and shears, blurs, takes the colours away or covers parts (DeVries and Taylor, "Improved
    Regularization of Convolutional Neural Networks with Cutout", 2017). `trivial` does one of 14
    things with any strength (Mueller and Hutter, "TrivialAugment", 2021), `randaugment` two of them
    with up to 9/30 of it (Cubuk et al., "RandAugment", 2020). Each mirrors half of the images; with
    `-no-flip` none, for classes that it would change: digits, letters, signs.

    Args:
        policy: As `choose_policy` gives it, except "none".

    Example:
        >>> seeds = np.array([[0, 0, 0], [0, 0, 1]])
        >>> Augmenter("light")(np.zeros([2, 32, 32, 3], np.uint8), seeds).shape
        (2, 32, 32, 3)
    """

    def __init__(self, policy: str) -> None:
        self._policy = policy
        # A transform carries its random state: threads that shared one would disturb each other.
        self._local = threading.local()

    def __call__(self, images: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Changes uint8 [N, H, W, 3], each image as its row of `seeds`, int64 [N, S], decides."""
        rows = np.asarray(seeds, "<i8")  # In one order of bytes on every machine.
        return np.stack([self._draw(*pair) for pair in zip(images, rows, strict=True)])

    def _draw(self, image: np.ndarray, seed: np.ndarray) -> np.ndarray:
        if not hasattr(self._local, "drawer"):
            self._local.drawer = _Drawer(make_transform(self._policy))
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
    """The augmenter of a policy; None for "none"."""
    return None if policy == NONE else Augmenter(policy)
