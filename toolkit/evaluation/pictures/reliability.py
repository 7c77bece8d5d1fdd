"""How often a classifier is right, by how sure it is."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from toolkit.evaluation.pictures import canvas

COLOURS = (canvas.BLUE, canvas.VERMILLION, canvas.GREEN)


class Bins(Protocol):
    """Images in B bins by the predicted class' probability."""

    @property
    def edges(self) -> NDArray[Any]:
        """From 0 to 1: [B + 1]."""

    @property
    def counts(self) -> NDArray[Any]:
        """Images in each bin: [B]."""

    @property
    def confidence(self) -> NDArray[Any]:
        """The mean of that probability, NaN in an empty bin: [B]."""

    @property
    def accuracy(self) -> NDArray[Any]:
        """The share of right predictions, NaN in an empty bin: [B]."""

    @property
    def error(self) -> float:
        """The expected calibration error."""


def reliability(curves: Mapping[str, Bins], path: str | os.PathLike[str]) -> None:
    """Draws a reliability diagram (Guo et al., ICML 2017), with the images of each bin below.

    On the dashed diagonal, a classifier is right as often as it is sure; below, it is too sure.

    Args:
        curves: What is compared, by name, at most three, as "before" and "after" scaling.
        path: The PNG file to write.
    """
    canvas.save(reliability_figure(curves), path)


def reliability_figure(curves: Mapping[str, Bins]) -> Figure:
    """Gives the figure that `reliability` saves."""
    figure = canvas.new_figure(6, 6.4)
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.12)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], ls="--", lw=1.2, color=canvas.GREY)
    for (name, bins), colour in zip(curves.items(), COLOURS, strict=False):
        label = f"{name}: calibration error {canvas.percent(bins.error)}"
        filled = bins.counts > 0
        upper.plot(
            bins.confidence[filled], bins.accuracy[filled], "o-", ms=4, color=colour, label=label
        )
        lower.stairs(bins.counts, bins.edges, color=colour, lw=1.6)
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    upper.set_title("Right as often as sure", loc="left", size=11, weight="bold", color=canvas.INK)
    upper.legend(loc="best", frameon=False, fontsize=9)
    _dress(upper, "accuracy")
    _dress(lower, "images")
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    lower.xaxis.set_major_formatter(PercentFormatter(1))
    lower.set_xlabel("probability of the predicted class", size=9, color=canvas.INK)
    return figure


def _dress(axes: Axes, label: str) -> None:
    axes.set_ylabel(label, size=9, color=canvas.INK)
    axes.grid(axis="y", color=canvas.PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, color=canvas.GREY, labelcolor=canvas.INK)
