"""Which classes are taken for which."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from toolkit.evaluation.pictures import canvas
from toolkit.evaluation.pictures.names import plain, shorten, width

COUNTS_UP_TO, NAMES_UP_TO, BLOCKS = 20, 50, 400  # classes
NAME, TITLE, BAR, LIST, LARGE = 1.5, 0.75, 0.85, 4.2, 2 * BLOCKS / canvas.DPI  # inches


class Cells(NamedTuple):
    """The cells of a confusion matrix that aren't empty; all arrays have the same shape [M].

    Attributes:
        true: The row: the true class, in [0, K).
        predicted: The column: the predicted class, in [0, K).
        counts: The number of images, at least 1.
        shares: The same as a share of the row, in (0, 1].
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]


def confusion_matrix(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str], path: str | os.PathLike[str]
) -> None:
    """Draws the confusion matrix: rows are true classes, columns predicted ones.

    Colours show shares of the row, so that rare classes look like frequent ones. Up to 20 classes
    the cells carry their counts; up to 50 the axes carry the names; above 20 the most confused
    pairs are listed beside the matrix. Above 400 classes neighbours share a block, which shows
    its greatest share, so that no confusion vanishes.

    Args:
        labels: True classes, integers in [0, K), shape [N].
        predicted: Predicted classes, integers in [0, K), shape [N].
        classes: The K class names.
        path: The PNG file to write.
    """
    canvas.save(confusion_matrix_figure(labels, predicted, classes), path)


def confusion_matrix_figure(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> Figure:
    """Gives the figure that `confusion_matrix` saves."""
    k = len(classes)
    labels, predicted = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
    cells = count_cells(labels, predicted, k)
    ticks = [shorten(name, NAME, 8) for name in classes] if k <= NAMES_UP_TO else []
    side, listed = _side(k), LIST if k > COUNTS_UP_TO else 0.0
    longest = max((width(name, 8) for name in ticks), default=0.35)
    upright = longest > 0.9 * side / k  # names as wide as their cells would run together
    left, bottom = longest + 0.45, (longest if upright and ticks else 0.2) + 0.45
    size = (left + side + BAR + listed + 0.2, TITLE + side + bottom)
    figure = canvas.new_figure(*size)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return x / size[0], 1 - (y + h) / size[1], w / size[0], h / size[1]

    _headings(figure, box(left, 0, 1, TITLE), labels, predicted, k)
    axes = figure.add_axes(box(left, TITLE, side, side))
    image = _matrix(axes, cells, k)
    _name_ticks(axes, ticks, 90 if upright else 0) if ticks else _number_ticks(axes)
    if k <= COUNTS_UP_TO:
        _write_counts(axes, cells, side / k)
    _colour_bar(figure.add_axes(box(left + side + 0.15, TITLE, 0.13, side)), image)
    if listed:
        beside = figure.add_axes(box(left + side + BAR, TITLE, listed, side))
        _list_pairs(beside, side, cells, classes)
    return figure


def count_cells(labels: NDArray[np.int64], predicted: NDArray[np.int64], k: int) -> Cells:
    """Counts the pairs that occur. The full matrix of 20,000 classes would take 3 GB."""
    pairs, counts = np.unique(labels * k + predicted, return_counts=True)
    true, columns = np.divmod(pairs, k)
    return Cells(true, columns, counts, counts / np.bincount(labels, minlength=k)[true])


def _side(k: int) -> float:
    if k <= COUNTS_UP_TO:
        return max(3.4, 0.45 * k)
    return max(5.5, 0.18 * k) if k <= NAMES_UP_TO else LARGE


def _headings(figure: Figure, at: Any, labels: Any, predicted: Any, k: int) -> None:
    accuracy = canvas.percent(float(np.mean(labels == predicted))) if len(labels) else "-"
    title = f"Accuracy {accuracy} on {canvas.count(len(labels), 'image')}"
    subtitle = f"{canvas.count(k, 'class', 'classes')}; colour: share of the true class"
    axes = figure.add_axes(at)
    axes.set(xlim=(0, 1), ylim=(TITLE, 0))
    axes.set_axis_off()
    canvas.headings(axes, 0, title, subtitle)


def _matrix(axes: Axes, cells: Cells, k: int) -> AxesImage:
    blocks = min(k, BLOCKS)
    norm = PowerNorm(0.5, vmin=0, vmax=1)  # square root: one in a hundred is to be seen
    grid = np.zeros((blocks, blocks))
    np.maximum.at(grid, (cells.true * blocks // k, cells.predicted * blocks // k), cells.shares)
    image = axes.imshow(
        grid, cmap="Blues", norm=norm, extent=(-0.5, k - 0.5, k - 0.5, -0.5), aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axes.spines[:].set_color(canvas.GREY)
    axes.set_xlabel("predicted class", size=9, color=canvas.INK)
    axes.set_ylabel("true class", size=9, color=canvas.INK)
    return image


def _name_ticks(axes: Axes, names: Sequence[str], rotation: float) -> None:
    places, properties = range(len(names)), plain(names)
    axes.set_yticks(places, names, size=8, **properties)
    axes.set_xticks(places, names, size=8, rotation=rotation, **properties)
    axes.tick_params(length=0)


def _number_ticks(axes: Axes) -> None:
    axes.tick_params(labelsize=8, color=canvas.GREY)
    axes.set_xlabel("predicted class (its number)", size=9, color=canvas.INK)
    axes.set_ylabel("true class (its number)", size=9, color=canvas.INK)


def _write_counts(axes: Axes, cells: Cells, cell: float) -> None:
    widest = width(f"{cells.counts.max(initial=1)}", 10)
    size = min(10.0, 10 * 0.85 * cell / widest)
    for row, column, count, share in zip(*cells, strict=True):
        colour = "white" if share > 0.3 else canvas.INK
        axes.text(column, row, f"{count}", size=size, color=colour, ha="center", va="center")


def _colour_bar(axes: Axes, image: AxesImage) -> None:
    bar = axes.figure.colorbar(image, cax=axes, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar.outline.set_visible(False)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: canvas.percent(share, 0)))
    axes.tick_params(labelsize=7, length=2, color=canvas.GREY, labelcolor=canvas.GREY)


def _list_pairs(axes: Axes, height: float, cells: Cells, classes: Sequence[str]) -> None:
    """Lists the most confused pairs, the most frequent first, as many as fit."""
    line = 0.22
    axes.set(xlim=(0, LIST), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(0, 0.1, "Most confused: true → predicted", size=9, weight="bold", color=canvas.INK)
    wrong = np.flatnonzero(cells.true != cells.predicted)
    order = wrong[np.lexsort((-cells.shares[wrong], -cells.counts[wrong]))]
    if not len(order):
        axes.text(0, 0.1 + line, "none", size=8, color=canvas.GREY)
    for i, at in enumerate(order[: int(height / line) - 1], start=1):
        true, predicted = classes[cells.true[at]], classes[cells.predicted[at]]
        half = (LIST - 1.4) / 2
        text = f"{shorten(true, half, 8)} → {shorten(predicted, half, 8)}"
        share = canvas.percent(cells.shares[at], 0)
        axes.text(0, 0.1 + i * line, text, size=8, color=canvas.INK, **plain(text))
        for x, amount in ((LIST - 0.7, f"{cells.counts[at]:,}"), (LIST - 0.2, share)):
            axes.text(x, 0.1 + i * line, amount, size=8, color=canvas.GREY, ha="right")
