"""How loss and accuracy went over the epochs, and what the probe had reached before."""

import os
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from toolkit.evaluation.pictures import canvas

Row = Mapping[str, float]


def learning_curves(
    history: Sequence[Row],
    probe: Mapping[str, float],
    path: str | os.PathLike[str],
    best_epoch: int = 0,
) -> None:
    """Draws the loss and the accuracy of training and validation over the epochs.

    The best epoch is marked; the probe's result on validation is a dashed line, which fine-tuning
    has to beat.

    Args:
        history: One row for each epoch with `epoch` (from 1), `loss`, `accuracy`, `val_loss` and
            `val_accuracy`, perhaps `val_calibrated_loss`; other keys are passed over. May be empty.
        probe: The probe's `loss` and `accuracy` on validation.
        path: The PNG file to write.
        best_epoch: From 1; 0: none was better than what training started from.
    """
    canvas.save(learning_curves_figure(history, probe, best_epoch), path)


def learning_curves_figure(
    history: Sequence[Row], probe: Mapping[str, float], best_epoch: int = 0
) -> Figure:
    """Gives the figure that `learning_curves` saves."""
    figure = canvas.new_figure(10, 4.6)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08, wspace=0.05)
    best = next((row for row in history if row["epoch"] == best_epoch), None)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _panel(axes, name, history, float(probe[name]), best)
    return figure


def _panel(axes: Axes, name: str, history: Sequence[Row], probe: float, best: Row | None) -> None:
    written = canvas.percent if name == "accuracy" else "{:.4f}".format
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(history) <= 30 else ""
    calibrated = f"val_calibrated_{name}"
    curves = {
        "training": ([row[name] for row in history], canvas.BLUE),
        "validation": ([row[f"val_{name}"] for row in history], canvas.VERMILLION),
    }
    if all(calibrated in row for row in history):  # It may tell the best epoch.
        curves["validation, calibrated"] = [row[calibrated] for row in history], canvas.GREEN
    for label, (values, colour) in curves.items() if history else ():
        axes.plot(epochs, values, marker=marker, ms=4, lw=1.8, color=colour, label=label)
    axes.axhline(probe, ls="--", lw=1.5, color=canvas.INK, label=f"probe: {written(probe)}")
    if best is not None:
        value = best[f"val_{name}"]
        label = f"best epoch, {best['epoch']:g}: {written(value)}"
        axes.axvline(best["epoch"], ls=":", lw=1, color=canvas.GREY, zorder=1)
        (point,) = axes.plot(best["epoch"], value, label=label, zorder=3)
        point.set(marker="*", ms=14, mec="white", color=canvas.VERMILLION, ls="")
    _dress(axes, name, has_epochs=bool(history))


def _dress(axes: Axes, name: str, *, has_epochs: bool) -> None:
    titles = {"loss": "Loss (cross-entropy in nats)", "accuracy": "Accuracy"}
    axes.set_title(titles[name], loc="left", size=11, weight="bold", color=canvas.INK)
    axes.grid(axis="y", color=canvas.PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, color=canvas.GREY, labelcolor=canvas.INK)
    if name == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
        axes.set_ylim(top=min(1.01, axes.get_ylim()[1]))
    if has_epochs:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        axes.set_xlabel("epoch", size=9, color=canvas.INK)
    else:
        axes.set_xticks([])
        axes.set_xlabel("no epoch of fine-tuning was run", size=9, color=canvas.GREY)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)
