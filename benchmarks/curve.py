"""Test accuracy over time, of a training in a process of its own; measuring it costs no time."""

import json
from collections.abc import Callable, Mapping, Sequence

from benchmarks.processes import record_in, timed_lines

Curve = list[tuple[float, float]]
"""(seconds since the start of the process, test accuracy) after each epoch."""


def tell_epoch(phase: str, epoch: int, measure: Callable[[], float]) -> None:
    """Says, in the training process, that an epoch is done, measures, and says the result."""
    print(json.dumps({"trained": epoch, "phase": phase}), flush=True)
    print(json.dumps({"accuracy": measure()}), flush=True)


def follow(
    command: Sequence[str],
    say: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> Curve:
    """Runs a training process and times its epochs; its clock stands still while it measures."""
    curve: Curve = []
    paused = trained_at = 0.0
    label = ""
    for seconds, line in timed_lines(command, environment):
        event = record_in(line) or {}
        if "trained" in event:
            trained_at, label = seconds, f"{event['phase']}, epoch {event['trained']}"
        elif "accuracy" in event:
            curve.append((trained_at - paused, event["accuracy"]))
            paused += seconds - trained_at
            say(f"{label}: {event['accuracy']:.1%} after {curve[-1][0]:.0f} s")
    return curve


def seconds_to(curve: Curve, accuracy: float) -> float | None:
    """When a curve first reaches an accuracy; None: never."""
    return next((seconds for seconds, reached in curve if reached >= accuracy), None)
