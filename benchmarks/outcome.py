"""What a benchmark gives: comparisons with every repetition, lines to draw, notes."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = float | None
"""None: it was never reached."""


@dataclass(frozen=True)
class Comparison:
    """One quantity of several contestants.

    Attributes:
        title: What was measured.
        unit: Its unit.
        repetitions: Of each contestant, a value for each round.
        references: The contestant whose value each one is divided by, where there is one.
        ratio_to: What the ratios are to, in words; "" where there are none.
    """

    title: str
    unit: str
    repetitions: Mapping[str, Sequence[Value]]
    references: Mapping[str, str] = field(default_factory=dict)
    ratio_to: str = ""

    @property
    def medians(self) -> dict[str, Value]:
        """Of each contestant; None where half of the rounds or more never reached it."""
        return {name: _median(values) for name, values in self.repetitions.items()}

    @property
    def ratios(self) -> dict[str, Value]:
        """The median of the ratios within the rounds: what slows a whole round cancels out."""
        return {
            name: self._ratio(name, self.references[name])
            for name in self.repetitions
            if name in self.references
        }

    def _ratio(self, name: str, reference: str) -> Value:
        pairs = zip(self.repetitions[name], self.repetitions[reference], strict=True)
        return _median([None if a is None or not b else a / b for a, b in pairs])

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "title": self.title,
            "unit": self.unit,
            "repetitions": {name: list(values) for name, values in self.repetitions.items()},
            "medians": self.medians,
            "ratio_to": self.ratio_to,
            "ratios": self.ratios,
        }


def compare(
    title: str, unit: str, repetitions: Mapping[str, Sequence[Value]], reference: str = ""
) -> Comparison:
    """A comparison of all contestants with one of them; "": with none."""
    references = {name: reference for name in repetitions if reference and name != reference}
    return Comparison(title, unit, repetitions, references, reference)


def shown(value: Value) -> str:
    """A figure with three digits, or all that are before the point."""
    if value is None:
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _median(values: Sequence[Value]) -> Value:
    median = statistics.median(math.inf if value is None else value for value in values)
    return median if math.isfinite(median) else None


@dataclass(frozen=True)
class Lines:
    """Lines in one picture.

    Attributes:
        title: Of the picture.
        x: Label of the axis, with the unit.
        y: Label of the axis, with the unit.
        lines: Points (x, y) by the contestant's name.
        log: Whether both axes ("xy"), or one of them, are logarithmic.
        steps: Whether a value holds until the next, so that nothing lies between two points.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log: str = ""
    steps: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found.

    Attributes:
        data: What it was measured on, in a line.
        comparisons: Each becomes a table, and bars unless there are lines.
        lines: What is drawn instead of bars.
        notes: What a reader has to know of this run.
    """

    data: str
    comparisons: list[Comparison]
    lines: list[Lines] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
