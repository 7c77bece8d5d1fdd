"""Why training ended before its epochs or its patience were out."""

from dataclasses import dataclass

BUDGET, BAD_LOSS, CALLBACK = "time budget", "loss", "callback"


@dataclass(frozen=True)
class Ending:
    """What ended a training, as the run's record tells it.

    Attributes:
        by: "time budget", "loss" (it was no finite number) or "callback" (one raised an error).
        epoch: In which it happened, counted from 1.
        step: Of that epoch, counted from 1; 0: between two epochs.
        why: In words for people.
        time_budget: Seconds that the job was given; None where that did not end it.
    """

    by: str
    epoch: int
    step: int
    why: str
    time_budget: float | None = None
