"""How the loss answers to the learning rate."""

import os
from collections.abc import Sequence

from matplotlib.figure import Figure

from toolkit.evaluation.pictures import canvas


def learning_rates(
    rates: Sequence[float],
    relative: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float,
    path: str | os.PathLike[str],
) -> None:
    """Draws what a range test has measured, and marks the learning rate that it suggests.

    Args:
        rates: The learning rate of each step, rising.
        relative: The loss of each step's batch, by that of the same batch at the start.
        smoothed: Their running mean.
        suggestion: The learning rate to mark.
        path: The PNG file to write.
    """
    canvas.save(learning_rates_figure(rates, relative, smoothed, suggestion), path)


def learning_rates_figure(
    rates: Sequence[float], relative: Sequence[float], smoothed: Sequence[float], suggestion: float
) -> Figure:
    """Gives the figure that `learning_rates` saves."""
    figure = canvas.new_figure(7, 4.6)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    axes = figure.subplots()
    axes.plot(rates, relative, ".", ms=4, color=canvas.BLUE, alpha=0.4, label="each step")
    axes.plot(rates, smoothed, lw=1.8, color=canvas.VERMILLION, label="running mean")
    label = f"suggested: {suggestion:.2g}"
    axes.axvline(suggestion, ls="--", lw=1.5, color=canvas.INK, label=label)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.1 * max(smoothed))
    title = "Loss at rising learning rates"
    axes.set_title(title, loc="left", size=11, weight="bold", color=canvas.INK)
    axes.set_xlabel("learning rate", size=9, color=canvas.INK)
    axes.set_ylabel("loss of a batch, by its loss at the start", size=9, color=canvas.INK)
    axes.grid(color=canvas.PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, color=canvas.GREY, labelcolor=canvas.INK)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=9)
    return figure
