"""How the loss answers to the learning rate."""

import os
from collections.abc import Sequence

from matplotlib.figure import Figure

from toolkit.evaluation.pictures import canvas


def learning_rates(
    rates: Sequence[float],
    relative: Sequence[float],
    suggestion: float,
    path: str | os.PathLike[str],
) -> None:
    """Draws what a range test has measured, and marks the learning rate that it suggests.

    Args:
        rates: The learning rate of each step, rising.
        relative: The running mean of the loss, by what it was at the start.
        suggestion: The learning rate to mark.
        path: The PNG file to write.
    """
    canvas.save(learning_rates_figure(rates, relative, suggestion), path)


def learning_rates_figure(
    rates: Sequence[float], relative: Sequence[float], suggestion: float
) -> Figure:
    """Gives the figure that `learning_rates` saves."""
    figure = canvas.new_figure(7, 4.6)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    axes = figure.subplots()
    axes.plot(rates, relative, lw=1.8, color=canvas.VERMILLION, label="running mean")
    axes.axhline(1, ls=":", lw=1, color=canvas.GREY, label="the untrained network's")
    label = f"suggested: {suggestion:.2g}"
    axes.axvline(suggestion, ls="--", lw=1.5, color=canvas.INK, label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    title = "Loss at rising learning rates"
    axes.set_title(title, loc="left", size=11, weight="bold", color=canvas.INK)
    axes.set_xlabel("learning rate", size=9, color=canvas.INK)
    axes.set_ylabel("training loss, by that at the start", size=9, color=canvas.INK)
    axes.grid(color=canvas.PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, color=canvas.GREY, labelcolor=canvas.INK)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=9)
    return figure
