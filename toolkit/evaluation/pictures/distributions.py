"""How numbers of images are distributed, in all of them or split by split."""

import io
from collections.abc import Mapping

import numpy as np

from toolkit.evaluation.pictures import canvas

BINS = 40
WIDTH, HEIGHT = 3.0, 2.2  # inches
COLOURS = (canvas.BLUE, canvas.VERMILLION, canvas.GREEN, canvas.GREY)
TAIL = 0.5
"""Percent at each end that the bins pass over."""


def distributions_svg(measures: Mapping[str, np.ndarray], parts: Mapping[str, np.ndarray]) -> str:
    """Draws a histogram of each measure, with a line for each part.

    Args:
        measures: Numbers of N images, by name: each float [N].
        parts: Which images are in which part, by name: each bool [N].

    Returns:
        An SVG element.
    """
    figure = canvas.new_figure(WIDTH * len(measures), HEIGHT)
    for place, (name, values) in enumerate(measures.items()):
        axes = figure.add_subplot(1, len(measures), place + 1)
        low, high = np.percentile(values, (TAIL, 100 - TAIL)) if len(values) else (0.0, 1.0)
        bins = np.linspace(low, high if high > low else low + 1, BINS + 1)
        for colour, (part, rows) in zip(COLOURS, parts.items(), strict=False):
            weights = np.full(int(rows.sum()), 100 / max(1, rows.sum()))
            shown = np.clip(values[rows], bins[0], bins[-1])
            heights, edges = np.histogram(shown, bins, weights=weights)
            axes.stairs(heights, edges, color=colour, label=part)
        axes.set_title(name, fontsize=9, color=canvas.INK)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("% of images", fontsize=8)
    figure.axes[-1].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    text = io.StringIO()
    with canvas.missing_glyphs_allowed():
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]
