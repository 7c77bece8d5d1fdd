"""What the pictures share: colours, a page measured in inches, and saving it."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

DPI = 120
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"  # Okabe & Ito: told apart by everybody
INK, GREY, PALE = "#222222", "#666666", "#EEEEEE"


def new_figure(width: float, height: float) -> Figure:
    """Gives an empty white figure of that many inches, outside pyplot."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def new_page(width: float, height: float) -> tuple[Figure, Axes]:
    """Gives a figure with one bare axes over all of it, in inches from the top left corner.

    Contact sheets place their images and captions in these coordinates, so that the sheet's size
    follows from its contents.
    """
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_autoscale_on(False)
    axes.set_axis_off()
    return figure, axes


def place_image(axes: Axes, image: NDArray[np.uint8], x: float, y: float, side: float) -> None:
    """Shows an image in the square cell whose top left corner is (x, y), its aspect kept.

    Args:
        axes: The page's axes, from `new_page`.
        image: RGB, uint8, shape [H, W, 3].
        x: Left edge of the cell in inches.
        y: Top edge of the cell in inches.
        side: The cell's side in inches.

    Raises:
        ValueError: If it is no such image.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            "an image to show must be uint8 with shape [H, W, 3]. "
            f"Received: {image.dtype} with shape {image.shape}"
        )
    height, width = (side * length / max(image.shape[:2]) for length in image.shape[:2])
    left, top = x + (side - width) / 2, y + (side - height) / 2
    corners = [x, x + side, x + side, x], [y, y, y + side, y + side]
    axes.fill(*corners, color=PALE, linewidth=0, zorder=-1)
    axes.imshow(
        _shrink(image, round(2 * DPI * side)),
        extent=(left, left + width, top + height, top),
        aspect="auto",
    )


def _shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    # A sheet of camera photos would otherwise hold them all in memory, twice.
    small = Image.fromarray(image)
    small.thumbnail((side, side))
    return np.asarray(small)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes the figure as a PNG of its size in inches times `DPI`."""
    with missing_glyphs_allowed():
        figure.savefig(path, format="png", dpi=DPI, bbox_inches=None)


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Gives the figure as an image, uint8 [H, W, 3], of its size in inches times `DPI`."""
    drawn = FigureCanvasAgg(figure)
    with missing_glyphs_allowed():
        drawn.draw()
    return np.array(drawn.buffer_rgba())[..., :3]


@contextmanager
def missing_glyphs_allowed() -> Iterator[None]:
    """Lets a character that no installed font has be drawn as a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", r"Matplotlib currently does not support", UserWarning)
        yield


def count(number: int, noun: str, plural: str = "") -> str:
    """Gives "1 image", "2 images", "12,345 images"; `plural` where it isn't noun + "s"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float, digits: int = 1) -> str:
    """Gives a share of one as "98.6 %"."""
    return f"{100 * share:.{digits}f} %"


def headings(axes: Any, x: float, title: str, subtitle: str) -> None:
    """Writes a page's title and the line below it, in the page's upper 0.6 inch."""
    axes.text(x, 0.34, title, size=12, weight="bold", color=INK)
    axes.text(x, 0.56, subtitle, size=8.5, color=GREY)
