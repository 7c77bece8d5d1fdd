"""What the augmentation makes of some images: too much of it is seen at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolkit.evaluation.pictures import canvas
from toolkit.evaluation.pictures.names import plain, shorten, width

SIDE, GAP, MARGIN, TITLE = 1.2, 0.08, 0.3, 1.0  # inches
HEADING, CAPTION = 0.45, 0.25
PAIR = 2 * SIDE + GAP
NARROWEST = 5.2

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class TurnedPair:
    """An image and a draw of it that is taken for another class.

    Attributes:
        original: RGB, uint8, [H, W, 3].
        draw: As the original.
        label: The image's class.
        other: The class that the draw is taken for.
        probability: Of that class, 0 to 1.
    """

    original: Image
    draw: Image
    label: str
    other: str
    probability: float


def augmentations(
    originals: Sequence[Image],
    draws: Sequence[Sequence[Image]],
    path: str | os.PathLike[str],
    turned: Sequence[tuple[str, Sequence[TurnedPair]]] = (),
) -> None:
    """Draws one row for each image: the original, then random draws of its augmentation.

    Args:
        originals: The images, RGB, uint8, each [H, W, 3].
        draws: For each image its augmented versions, RGB, uint8, each [H, W, 3].
        path: The PNG file to write.
        turned: Below them, a row for each of these transforms: its heading, and some of its draws
            that are taken for another class; as many as have room are shown.
    """
    canvas.save(augmentations_figure(originals, draws, turned), path)


def augmentations_figure(
    originals: Sequence[Image],
    draws: Sequence[Sequence[Image]],
    turned: Sequence[tuple[str, Sequence[TurnedPair]]] = (),
) -> Figure:
    """Gives the figure that `augmentations` saves."""
    rows = list(zip(originals, draws, strict=True))
    columns = max((len(drawn) for drawn in draws), default=0)
    first_draw = MARGIN + SIDE + 3 * GAP
    page = max(NARROWEST, first_draw + columns * (SIDE + GAP) - GAP + MARGIN)
    sheet = TITLE + len(rows) * (SIDE + GAP) - GAP
    row = HEADING + SIDE + CAPTION
    figure, axes = canvas.new_page(page, sheet + len(turned) * row + MARGIN)
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
    for i, (heading, pairs) in enumerate(turned):
        _turned_row(axes, sheet + i * row, page, heading, pairs)
    return figure


def _turned_row(
    axes: Axes, top: float, page: float, heading: str, pairs: Sequence[TurnedPair]
) -> None:
    heading = shorten(heading, page - 2 * MARGIN, 9)
    axes.text(MARGIN, top + 0.33, heading, size=9, color=canvas.VERMILLION, **plain(heading))
    y = top + HEADING
    room = int((page - 2 * MARGIN + 3 * GAP) / (PAIR + 3 * GAP))
    for k, pair in enumerate(pairs[:room]):
        x = MARGIN + k * (PAIR + 3 * GAP)
        canvas.place_image(axes, pair.original, x, y, SIDE)
        canvas.place_image(axes, pair.draw, x + SIDE + GAP, y, SIDE)
        _under(axes, x, y, pair.label, "", canvas.INK)
        surely = f" ({canvas.percent(pair.probability, 0)})"
        _under(axes, x + SIDE + GAP, y, pair.other, surely, canvas.VERMILLION)


def _under(axes: Axes, x: float, y: float, name: str, behind: str, colour: str) -> None:
    before = "→ " if behind else ""
    name = shorten(name, SIDE - width(before + behind, 8.5), 8.5)
    text = before + name + behind
    axes.text(x, y + SIDE + 0.15, text, size=8.5, color=colour, **plain(text))
