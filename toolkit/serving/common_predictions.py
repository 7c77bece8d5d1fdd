"""What members say of the images that they have in common."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from toolkit.classifier.predictions import predict_table
from toolkit.clock import Clock
from toolkit.data.prepare import Preparation
from toolkit.data.source import Source
from toolkit.data.table import ImageTable
from toolkit.errors import NoTestImagesError
from toolkit.progress import Progress, Reporter
from toolkit.serving.common_images import CommonImages, common_images
from toolkit.serving.members import Member, predict_members

BATCH = 8
"""Images at once; each may be several views for the network."""

Prepared = tuple[keras.Model, Sequence[Preparation]]
"""A model, and the preparation of each of its inputs."""


@dataclass(frozen=True)
class Predicted:
    """Images, and what the members say of them.

    Attributes:
        table: N images that can be decoded.
        members: Probabilities, float32 [M, N, K]; not-a-number where a member was trained on an
            image.
    """

    table: ImageTable
    members: np.ndarray

    @property
    def common(self) -> "Predicted":
        """The images that no member was trained on."""
        rows = ~np.isnan(self.members).any(axis=(0, 2))
        return Predicted(self.table.rows(rows), self.members[:, rows])


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
        The images, and the members' own predictions for those of validation, each of those that
        it was not trained on, and of test.

    Raises:
        NoTestImagesError: There are none for test.
        UnknownClassesError: The data has a class that the members do not know.
    """
    with clock("images"):
        images = common_images(members, data, reporter.progress)
    with clock("predictions"):
        asked = images.validated
        validation = Predicted(*predict_members(members, images.validation, reporter, asked))
        test = Predicted(*predict_members(members, images.test, reporter))
    reporter.problems(test.table.problems)
    if not len(test.table):
        raise NoTestImagesError(data, images.test.root)
    return images, validation, test


def predict_again(
    models: Sequence[Prepared],
    members: Sequence[Member],
    images: Predicted,
    progress: Progress,
) -> Predicted:
    """What other models in the members' places say of the same images.

    Args:
        models: M of them, each with the classes of its member.
        members: Give the order of the classes.
        images: What the members themselves say.
        progress: Shows how far it is.
    """
    if not len(images.table):
        return images
    probabilities = [
        predict_table(*model, images.table, BATCH, progress, member.name)[:, member.order]
        for model, member in zip(models, members, strict=True)
    ]
    return Predicted(images.table, np.stack(probabilities))
