"""What a person sees while a job runs: progress with time left and messages, on standard error."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from toolkit.data.table import Problem

SHOWN_PROBLEMS = 8

Progress = Callable[[Iterable, int, str], Iterable]
"""Wraps an iterable, given its length and what is done, and shows how far it is."""


def unseen(items: Iterable, total: int, description: str) -> Iterable:
    """Shows nothing."""
    return items


class Reporter:
    """Shows progress and messages, or nothing at all.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, message: str) -> None:
        """Prints a line."""
        if not self.quiet:
            _console().print(message, markup=False, highlight=False, soft_wrap=True)

    def problems(self, problems: Sequence["Problem"], where: str = "problems.csv") -> None:
        """Names the first few files that were left out, how many there are, and where all are."""
        for problem in problems[:SHOWN_PROBLEMS]:
            self.say(f"Left out: {problem.path}: {problem.reason}")
        if len(problems) > SHOWN_PROBLEMS:
            self.say(f"... and {len(problems) - SHOWN_PROBLEMS} more; {where} names all.")

    def progress(self, items: Iterable, total: int, description: str) -> Iterable:
        """Shows a bar while the items are taken."""
        if self.quiet:
            yield from items
            return
        with bar() as display:
            task = display.add_task(description, total=total, note="")
            for item in items:
                yield item
                display.advance(task)


def bar() -> "Bar":
    """A bar with count, time and time left, and whatever a task adds as `note`."""
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description:<18}"),
        progress.BarColumn(bar_width=20),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
        console=_console(),
    )


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)
