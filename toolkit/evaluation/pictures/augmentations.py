"""What the augmentation makes of some images: too much of it is seen at once."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolkit.evaluation.pictures import canvas

SIDE, GAP, MARGIN, TITLE = 1.2, 0.08, 0.3, 1.0  # inches

Image = NDArray[np.uint8]


def augmentations(
    originals: Sequence[Image], draws: Sequence[Sequence[Image]], path: str | os.PathLike[str]
) -> None:
    """Draws one row for each image: the original, then random draws of its augmentation.

    Args:
        originals: The images, RGB, uint8, each [H, W, 3].
        draws: For each image its augmented versions, RGB, uint8, each [H, W, 3].
        path: The PNG file to write.
    """
    canvas.save(augmentations_figure(originals, draws), path)


def augmentations_figure(originals: Sequence[Image], draws: Sequence[Sequence[Image]]) -> Figure:
    """Gives the figure that `augmentations` saves."""
    rows = list(zip(originals, draws, strict=True))
    columns = max((len(drawn) for drawn in draws), default=0)
    first_draw = MARGIN + SIDE + 3 * GAP
    figure, axes = canvas.new_page(
        max(5.2, first_draw + columns * (SIDE + GAP) - GAP + MARGIN),
        TITLE + len(rows) * (SIDE + GAP) + MARGIN - GAP,
    )
    what = f"{canvas.count(len(rows), 'image')}, {canvas.count(columns, 'random draw')} of each"
    canvas.headings(axes, MARGIN, "Augmentation", what)
    if rows:
        axes.text(MARGIN, TITLE - 0.1, "original", size=9, color=canvas.INK)
    if columns:
        axes.text(first_draw, TITLE - 0.1, "as seen in training", size=9, color=canvas.INK)
    for i, (original, drawn) in enumerate(rows):
        y = TITLE + i * (SIDE + GAP)
        canvas.place_image(axes, original, MARGIN, y, SIDE)
        for j, image in enumerate(drawn):
            canvas.place_image(axes, image, first_draw + j * (SIDE + GAP), y, SIDE)
    return figure
