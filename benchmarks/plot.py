"""Pictures of an outcome: lines where it has some, otherwise bars of the medians."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from benchmarks.outcome import Comparison, Lines, Outcome, shown

WIDTH = 8.0
BAR_HEIGHT, LINES_HEIGHT, TITLE_HEIGHT = 0.35, 4.0, 1.2
COLOUR = "#4477aa"
STYLES = (("#bb5566", "o"), ("#004488", "s"), ("#ddaa33", "^"), ("#777777", "D"))
"""Told apart without colour vision, too (Paul Tol's high-contrast set)."""


def draw(outcome: Outcome, path: Path) -> None:
    """Draws an outcome as a PNG."""
    panels: list[Lines | Comparison] = [*(outcome.lines or outcome.comparisons)]
    heights = [_height(panel) for panel in panels]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        _draw_lines(axis, panel) if isinstance(panel, Lines) else _draw_bars(axis, panel)
        axis.set_title(panel.title, loc="left", fontsize="medium")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def _height(panel: Lines | Comparison) -> float:
    if isinstance(panel, Lines):
        return LINES_HEIGHT
    return TITLE_HEIGHT + BAR_HEIGHT * len(panel.repetitions)


def _draw_bars(axis: Axes, comparison: Comparison) -> None:
    names = list(comparison.repetitions)
    medians = [comparison.medians[name] or 0.0 for name in names]
    axis.barh(names, medians, color=COLOUR, height=0.6)
    for place, name in enumerate(names):
        values = [value for value in comparison.repetitions[name] if value is not None]
        if len(values) > 1:
            axis.plot([min(values), max(values)], [place, place], color="black", linewidth=1)
        median = comparison.medians[name]
        axis.annotate(
            f" {shown(median)}", (max([0.0, *values]), place), va="center", fontsize="small"
        )
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel(comparison.unit)


def _draw_lines(axis: Axes, panel: Lines) -> None:
    style = "steps-post" if panel.steps else "default"
    for (colour, marker), (name, points) in zip(STYLES, panel.lines.items(), strict=False):
        x, y = zip(*points, strict=True)
        axis.plot(x, y, color=colour, marker=marker, markersize=5, label=name, drawstyle=style)
    axis.set(xscale="log" if "x" in panel.log else "linear")
    axis.set(yscale="log" if "y" in panel.log else "linear")
    for direction in panel.log:
        _label_plainly(axis.xaxis if direction == "x" else axis.yaxis)
    if "y" not in panel.log:
        axis.set_ylim(0, 1.1 * max(y for points in panel.lines.values() for _, y in points))
    axis.set_xlabel(panel.x)
    axis.set_ylabel(panel.y)
    axis.legend(frameon=False)


def _label_plainly(axis: Axis) -> None:
    """Numbers, not powers of ten, on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
