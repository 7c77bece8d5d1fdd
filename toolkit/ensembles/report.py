"""All that `metrics.json` says of an ensemble and its members, and which of them to serve."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.calibration import brier_score, expected_calibration_error
from toolkit.ensembles.evidence import Gain, diversity, leave_one_out, paired_gain
from toolkit.evaluation.metrics import measure

ENSEMBLE = "ensemble"
NEGLIGIBLE = 1e-6
"""Log-loss; below, what looks like a gain is rounding."""

HEADLINES = ("n", "accuracy", "accuracy_ci95", "loss", "macro_f1")


def report(
    labels: NDArray[Any],
    members: NDArray[Any],
    classes: Sequence[str],
    names: Sequence[str],
    averaging: Averaging,
    seed: int = 0,
    viewed: NDArray[Any] | None = None,
    reject_below: float = 0.0,
) -> dict[str, Any]:
    """Measures an ensemble, its members, and what each is worth, on test images.

    Args:
        labels: True classes, integers [N].
        members: Probabilities of M members, [M, N, K].
        classes: The K classes' names.
        names: The M members' names.
        averaging: How they are averaged.
        seed: Of the bootstrap.
        viewed: The members' probabilities where each averages several views of an image, of which
            the ensemble is then made, [M, N, K].
        reject_below: The ensemble's; see `measure`.

    Returns:
        `test`: the ensemble's figures, as `measure` gives them. `calibration`: its temperature, and
        log-loss, calibration error and Brier score before and after that is applied. `members`: of
        each its name, weight, figures on test, and what the ensemble would be `without` it (of the
        only one None). `diversity`. `gain`: over the member with the lowest test loss, the hardest
        to beat. `recommended`: a member's name or "ensemble", and `why`. What is no number (a
        correlation without errors) is None. With views also `views`: the figures of the same
        average `without` them, and their `gain` over it; and of each member its figures
        `with_views`.
    """
    made_of = members if viewed is None else viewed
    ensemble, weights = averaging(made_of), averaging.weights
    measured = [headlines(labels, member, classes) for member in members]
    without = _without(labels, made_of, averaging)
    best = int(np.argmin([figures["loss"] for figures in measured]))
    gain = paired_gain(labels, ensemble, members[best], seed=seed)
    difference, networks = diversity(labels, members), int(np.count_nonzero(weights))
    found: dict[str, Any] = {
        "test": measure(labels, ensemble, classes, reject_below),
        "calibration": {
            "temperature": averaging.temperature,
            **before_and_after(labels, averaging.unscaled(made_of), ensemble, classes),
        },
        "members": [
            {"name": name, "weight": float(weight), "test": figures, "without": each}
            for name, weight, figures, each in zip(names, weights, measured, without, strict=True)
        ],
        "diversity": {
            "disagreement": _plain(difference.disagreement),
            "error_correlation": _plain(difference.error_correlation),
        },
        "gain": {"over": names[best], **asdict(gain)},
        **recommend(gain, names[best], len(labels), ENSEMBLE, _costs(networks, viewed is not None)),
    }
    if viewed is not None:
        plain = averaging(members)
        found["views"] = {
            "without": headlines(labels, plain, classes),
            "gain": asdict(paired_gain(labels, ensemble, plain, seed=seed)),
        }
        for record, probabilities in zip(found["members"], viewed, strict=True):
            record["with_views"] = headlines(labels, probabilities, classes)
    return found


def _without(
    labels: NDArray[Any], members: NDArray[Any], averaging: Averaging
) -> list[dict[str, float] | None]:
    if len(members) < 2:
        return [None]
    found = leave_one_out(labels, members, averaging.average, averaging.weights)
    return [asdict(each) for each in found]


def _costs(networks: int, views: bool) -> str:
    words = "1 network" if networks == 1 else f"{networks} networks"
    return f"it runs {words}{' on several views of each image' if views else ''}"


def before_and_after(
    labels: NDArray[Any], before: NDArray[Any], after: NDArray[Any], classes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Log-loss, calibration error and Brier score of probabilities [N, K], unscaled and scaled."""
    return {
        "before": _calibration(labels, before, classes),
        "after": _calibration(labels, after, classes),
    }


def _calibration(
    labels: NDArray[Any], probabilities: NDArray[Any], classes: Sequence[str]
) -> dict[str, float]:
    return {
        "loss": measure(labels, probabilities, classes)["loss"],
        "expected_calibration_error": expected_calibration_error(labels, probabilities),
        "brier_score": brier_score(labels, probabilities),
    }


def headlines(
    labels: NDArray[Any], probabilities: NDArray[Any], classes: Sequence[str]
) -> dict[str, Any]:
    """The figures of `measure` without those of each class."""
    figures = measure(labels, probabilities, classes)
    return {name: figures[name] for name in HEADLINES}


def recommend(gain: Gain, best: str, images: int, joined: str, costs: str) -> dict[str, str]:
    """What to serve, and why, in words.

    What is made of all members must have a lower log-loss than the best of them, beyond chance (the
    95 % interval of the gain lies above 0), and no lower accuracy beyond chance. Otherwise that one
    member does.

    Args:
        gain: Over the best member.
        best: Its name.
        images: How many it was measured on.
        joined: What is made of the members: "ensemble" or "soup".
        costs: What that costs, in words.
    """
    low, high = gain.loss_ci95
    interval = f"95 % interval {low:+.4f} to {high:+.4f}, {images:,} test images"
    if low > NEGLIGIBLE and gain.accuracy_ci95[1] >= 0:
        why = (
            f"the {joined} saves {gain.loss:.4f} of log-loss over {best}, its best member "
            f"({interval}), and has {_points(gain.accuracy)}; {costs}"
        )
        return {"recommended": joined, "why": why}
    if high < -NEGLIGIBLE or gain.accuracy_ci95[1] < 0:
        verdict = f"{best} alone is better than the {joined}"
    else:
        verdict = f"{best} alone is as good as the {joined}, as far as these images tell"
    why = f"{verdict}: log-loss saved by the {joined} {gain.loss:+.4f} ({interval})"
    return {"recommended": best, "why": why}


def _points(gain: float) -> str:
    if not round(gain, 4):
        return "the same accuracy"
    return f"{abs(gain):.2%} {'more' if gain > 0 else 'less'} accuracy"


def _plain(matrix: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]
