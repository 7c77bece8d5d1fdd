"""`--average` and `--weights`: what is asked for, or found on validation predictions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.choices import check_choice
from toolkit.ensembles.average import (
    ARITHMETIC,
    AVERAGES,
    GEOMETRIC,
    MAJORITY,
    average_probabilities,
)
from toolkit.ensembles.calibration import SPREAD, fit_temperature
from toolkit.ensembles.members import check_weights
from toolkit.ensembles.weights import convex_weights, greedy_weights
from toolkit.errors import OptionError, TooFewToFitError

AUTO = "auto"
EQUAL, CONVEX, GREEDY = "equal", "convex", "greedy"
SEARCHES: dict[str, Callable[..., NDArray[np.float64]]] = {
    CONVEX: convex_weights,
    GREEDY: greedy_weights,
}

IMAGES_FOR_EACH = 10
"""Validation images for each member; with fewer, its weight would be chance."""

IMAGES_FOR_TEMPERATURE = 20
"""Validation images, with fewer of which the temperature would be chance."""


def choose_average(average: str, calibrate: bool) -> str:
    """The average that is meant: "auto" is the geometric one where it is calibrated.

    The arithmetic mean of networks that are too sure hardly changes with a temperature: where they
    differ it is too unsure already, and where they agree as sure as they are. The geometric mean
    is as a single network: too sure everywhere.

    Args:
        average: "auto", or one of `AVERAGES`.
        calibrate: Whether its temperature is found.

    Raises:
        OptionError: There is no such average.
    """
    check_choice("--average", average, (AUTO, *AVERAGES))
    if average != AUTO:
        return average
    return GEOMETRIC if calibrate else ARITHMETIC


def check_weighting(
    weights: str | Sequence[float], average: str = ARITHMETIC, count: int = 2
) -> str | list[float]:
    """Refuses weights that cannot be used, before anything is computed.

    Args:
        weights: "equal", "convex", "greedy", or a number for each member, also as "0.5,0.3,0.2".
        average: What they are for.
        count: Of members.

    Returns:
        The search's name or "equal", or the numbers.

    Raises:
        OptionError: They are not what they can be.
    """
    if isinstance(weights, str) and weights in (EQUAL, *SEARCHES):
        if weights == CONVEX and average == MAJORITY:
            rule = f"equal, greedy or numbers with --average {MAJORITY}"
            raise OptionError("--weights", rule, weights)
        return weights
    rule = f"equal, convex, greedy, or {count} numbers, one for each model, at least 0, not all 0"
    try:
        parts: Any = weights.split(",") if isinstance(weights, str) else weights
        numbers = [float(part) for part in parts]
        check_weights(numbers, count)
    except (ValueError, TypeError) as error:
        raise OptionError("--weights", rule, weights) from error
    return numbers


def find_weights(
    weights: str | list[float],
    average: str,
    labels: NDArray[Any],
    members: NDArray[Any],
) -> NDArray[np.float64]:
    """The members' weights, which sum to one.

    Args:
        weights: As `check_weighting` gives it.
        average: What they are for.
        labels: Of the validation images, integers [N]; N may be 0, where nothing is searched for.
        members: The M members' probabilities for them, [M, N, K].

    Raises:
        TooFewToFitError: There are fewer than ten images for each member.
    """
    if not isinstance(weights, str):
        return check_weights(weights, len(members))
    if weights == EQUAL:
        return check_weights(None, len(members))
    needed = IMAGES_FOR_EACH * len(members)
    if len(labels) < needed:
        instead = "give --weights equal, or one number for each member"
        raise TooFewToFitError(f"--weights {weights}", needed, len(labels), instead)
    return SEARCHES[weights](labels, members, average)


def find_temperature(
    labels: NDArray[Any], members: NDArray[Any], average: str, weights: NDArray[np.float64]
) -> float:
    """The temperature of the average with the lowest log-loss on validation images.

    Args:
        labels: Of the images, integers [N].
        members: The M members' probabilities for them, [M, N, K].
        average: As in `average_probabilities`.
        weights: As in `average_probabilities`.

    Raises:
        TooFewToFitError: There are fewer than 20 images.
    """
    if len(labels) < IMAGES_FOR_TEMPERATURE:
        instead = "leave --calibrate out"
        raise TooFewToFitError("--calibrate", IMAGES_FOR_TEMPERATURE, len(labels), instead)
    averaged = average_probabilities(members, average, weights)
    return fit_temperature(labels, averaged, spread=SPREAD)
