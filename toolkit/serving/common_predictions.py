"""What all members say of the images that they have in common."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.clock import Clock
from toolkit.data.source import Source
from toolkit.data.table import ImageTable
from toolkit.errors import NoTestImagesError
from toolkit.progress import Reporter
from toolkit.serving.common_images import CommonImages, common_images
from toolkit.serving.members import Member, predict_members


@dataclass(frozen=True)
class Predicted:
    """Images, and what the members say of them.

    Attributes:
        table: N images that can be decoded.
        members: Probabilities, float32 [M, N, K].
    """

    table: ImageTable
    members: np.ndarray


def predict_common(
    members: Sequence[Member],
    data: str | os.PathLike[str] | Source | None,
    clock: Clock,
    reporter: Reporter,
) -> tuple[CommonImages, Predicted, Predicted]:
    """Finds the images that members have in common, and predicts them.

    Args:
        members: M of them.
        data: As in `common_images`.
        clock: Takes the time.
        reporter: Shows how far it is, and names images that cannot be decoded.

    Returns:
        The images, and the members' own predictions for those of validation and of test.

    Raises:
        NoTestImagesError: There are none for test.
        UnknownClassesError: The data has a class that the members do not know.
    """
    with clock("images"):
        images = common_images(members, data, reporter.progress)
    with clock("predictions"):
        validation = Predicted(*predict_members(members, images.validation, reporter))
        test = Predicted(*predict_members(members, images.test, reporter))
    reporter.problems(test.table.problems)
    if not len(test.table):
        raise NoTestImagesError(data, images.test.root)
    return images, validation, test
