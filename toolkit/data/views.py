"""Augmented views: what is drawn for an image follows from its content, a seed and a number."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from toolkit.data.augment import make_augmenter
from toolkit.data.table import ImageTable

DRAWING = 1
"""Raised when policies or their drawing change, so that older cached views are not used."""

Augment = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(uint8 [N, H, W, 3], int64 seeds [N, S]) to uint8 [N, H, W, 3]."""


@dataclass(frozen=True)
class Views:
    """Numbered draws of an augmentation policy for each image.

    An image's draw of one number is the same in every run with the same seed, whatever other
    images there are: so it can be kept. Training on images sees view 0 in the first epoch, view
    1 in the second, and so on.

    Attributes:
        policy: As `toolkit.data.policies.choose_policy` gives it.
        seed: Of the draws.
        count: How many there are; 1 where the policy is "none", as all would be the same.
    """

    policy: str
    seed: int
    count: int

    @functools.cached_property
    def augment(self) -> Augment | None:
        """What draws; None where the policy is "none"."""
        return make_augmenter(self.policy)

    def key(self, number: int) -> dict[str, str | int]:
        """Names all that decides one draw."""
        import albumentations

        if self.policy == "none":
            return {"augment": "none"}
        version = f"v{DRAWING}, albumentations {albumentations.__version__}"
        return {"augment": f"{self.policy} {version}", "seed": self.seed, "view": number}

    def draw(self, images: np.ndarray, contents: np.ndarray, number: int) -> np.ndarray:
        """The numbered view of prepared images: float32 [N, H, W, 3], 0 to 255, to the same.

        Args:
            images: float32 [N, H, W, 3], values 0 to 255.
            contents: int64 [N], each image's `content_numbers`.
            number: From 0; it may go beyond `count`.
        """
        if self.augment is None:
            return images
        seeds = np.empty([len(images), 3], np.int64)
        seeds[:, 0], seeds[:, 1], seeds[:, 2] = self.seed, number, contents
        return self.augment(np.rint(images).astype(np.uint8), seeds).astype(np.float32)


def content_numbers(table: ImageTable) -> np.ndarray:
    """A number for each image that follows from its content: int64 [N], at least 0."""
    return np.array([int(digest[:15], 16) for digest in table.digests], np.int64)
