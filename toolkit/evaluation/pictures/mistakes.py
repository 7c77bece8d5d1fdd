"""The mistakes that a classifier was most sure of: wrong labels show up here first."""

import math
import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from toolkit.evaluation.pictures import canvas
from toolkit.evaluation.pictures.names import plain, shorten, width

LIMIT = 24
COLUMNS = 6
SIDE, GAP, CAPTION, MARGIN, TITLE = 1.7, 0.22, 0.58, 0.3, 0.75  # inches


def most_confident_mistakes(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.intp]:
    """Gives the positions of all wrong predictions, the most confident first.

    Args:
        labels: True classes, integers, shape [N].
        probabilities: Predicted probabilities, shape [N, K].

    Returns:
        Positions in [0, N), int, shape [number of mistakes]; equals stay in their order.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def mistakes(
    images: Sequence[NDArray[np.uint8]],
    labels: Sequence[int],
    predicted: Sequence[int],
    probabilities_of_predicted: Sequence[float],
    names: Sequence[str],
    classes: Sequence[str],
    path: str | os.PathLike[str],
    *,
    n: int,
    n_mistakes: int | None = None,
) -> None:
    """Draws a contact sheet of mistakes: image, file's name, true and predicted class, confidence.

    The first 24 are shown, in the order given (`most_confident_mistakes` gives the order).

    Args:
        images: The images to show, RGB, uint8, each [H, W, 3] of its own size.
        labels: Their true classes, integers in [0, K).
        predicted: Their predicted classes, integers in [0, K).
        probabilities_of_predicted: The predicted classes' probabilities, in [0, 1].
        names: Their file names.
        classes: The K class names.
        path: The PNG file to write.
        n: How many images were measured, right and wrong.
        n_mistakes: How many of them were wrong; by default as many as are given.
    """
    captions = [
        (name, classes[true], classes[wrong], canvas.percent(confidence))
        for name, true, wrong, confidence in zip(
            names, labels, predicted, probabilities_of_predicted, strict=True
        )
    ]
    total = len(captions) if n_mistakes is None else n_mistakes
    canvas.save(mistakes_figure(images, captions, n=n, n_mistakes=total), path)


def mistakes_figure(
    images: Sequence[NDArray[np.uint8]],
    captions: Sequence[tuple[str, str, str, str]],
    *,
    n: int,
    n_mistakes: int,
) -> Figure:
    """Gives the figure that `mistakes` saves; a caption is file, true, predicted, confidence."""
    cells = list(zip(images, captions, strict=True))[:LIMIT]
    columns, rows = min(COLUMNS, len(cells)), math.ceil(len(cells) / COLUMNS)
    figure, axes = canvas.new_page(
        max(5.2, 2 * MARGIN + columns * (SIDE + GAP) - GAP),
        TITLE + rows * (SIDE + CAPTION + GAP) + MARGIN / 2,
    )
    canvas.headings(axes, MARGIN, _title(len(cells), n, n_mistakes), _subtitle(len(cells)))
    for i, (image, caption) in enumerate(cells):
        x = MARGIN + i % COLUMNS * (SIDE + GAP)
        y = TITLE + i // COLUMNS * (SIDE + CAPTION + GAP)
        canvas.place_image(axes, image, x, y, SIDE)
        _caption(axes, x, y + SIDE, *caption)
    return figure


def _title(shown: int, n: int, n_mistakes: int) -> str:
    measured = canvas.count(n, "image")
    if n_mistakes == 0:
        return f"No mistakes on {measured}"
    what = f"{canvas.count(n_mistakes, 'mistake')} on {measured}"
    return what if shown == n_mistakes else f"{shown} of {what}"


def _subtitle(shown: int) -> str:
    return "most confident first: file, true class, → predicted class, confidence" if shown else ""


def _caption(
    axes: Axes, x: float, y: float, name: str, true: str, predicted: str, confidence: str
) -> None:
    name, true = shorten(name, SIDE, 7), shorten(true, SIDE, 8.5)
    room = SIDE - width(f"→   {confidence}", 8.5)
    predicted = "→ " + shorten(predicted, room, 8.5)
    axes.text(x, y + 0.15, name, size=7, color=canvas.GREY, **plain(name))
    axes.text(x, y + 0.33, true, size=8.5, color=canvas.INK, **plain(true))
    axes.text(x, y + 0.5, predicted, size=8.5, color=canvas.VERMILLION, **plain(predicted))
    axes.text(x + SIDE, y + 0.5, confidence, size=8.5, color=canvas.VERMILLION, ha="right")
