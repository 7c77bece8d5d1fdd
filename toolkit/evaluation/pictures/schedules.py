"""How learning rates go over a run, side by side."""

import math
import os
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from toolkit.evaluation.pictures import canvas

COLUMNS = 4


def schedules(
    rates: Mapping[str, NDArray[np.floating]],
    steps_per_epoch: int,
    path: str | os.PathLike[str],
) -> None:
    """Draws a panel for each schedule: the learning rate over the epochs.

    Args:
        rates: For each title the learning rates of all steps, shape [steps].
        steps_per_epoch: Steps in an epoch.
        path: The PNG file to write.
    """
    canvas.save(schedules_figure(rates, steps_per_epoch), path)


def schedules_figure(rates: Mapping[str, NDArray[np.floating]], steps_per_epoch: int) -> Figure:
    """Gives the figure that `schedules` saves."""
    columns = min(COLUMNS, len(rates))
    rows = math.ceil(len(rates) / columns)
    size = (7.0, 3.8) if len(rates) == 1 else (3.2 * columns, 2.6 * rows)
    figure = canvas.new_figure(*size)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (title, values) in zip(panels, rates.items(), strict=False):
        _panel(axes, title, values, steps_per_epoch)
    for axes in panels[::columns]:
        axes.set_ylabel("learning rate", size=9, color=canvas.INK)
    for axes in panels[len(rates) :]:
        axes.set_visible(False)
    return figure


def _panel(axes: Axes, title: str, values: NDArray[np.floating], steps_per_epoch: int) -> None:
    axes.plot(np.arange(len(values)) / steps_per_epoch, values, lw=1.8, color=canvas.BLUE)
    axes.set_title(title, loc="left", size=10, weight="bold", color=canvas.INK)
    axes.set_xlabel("epoch", size=9, color=canvas.INK)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=canvas.PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color=canvas.GREY, labelcolor=canvas.INK, labelbottom=True)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
