"""What a benchmark leaves: a table on the screen, NAME.json, NAME.png and NAME.md."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.outcome import Comparison, Outcome, shown
from benchmarks.plot import draw


@dataclass(frozen=True)
class Report:
    """A benchmark's outcome with all that is told of it.

    Attributes:
        name: The benchmark's.
        description: Its module's docstring.
        command: As it was given.
        date: When it was begun.
        machine: What it ran on.
        outcome: What it found.
    """

    name: str
    description: str
    command: str
    date: str
    machine: dict[str, str]
    outcome: Outcome

    def print(self) -> None:
        """Shows the tables on standard output."""
        console = Console(highlight=False)
        console.print(f"[bold]{self.name}[/]: {self.outcome.data}")
        for comparison in self.outcome.comparisons:
            console.print()
            console.print(_caption(comparison), style="bold", markup=False)
            console.print(_rich_table(comparison))
        console.print()
        for note in self.outcome.notes:
            console.print(note, markup=False)

    def write(self, folder: Path) -> None:
        """Writes the JSON, the plot and the page."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_record(), indent=2, ensure_ascii=False) + "\n"
        (folder / f"{self.name}.json").write_text(text, encoding="utf-8")
        draw(self.outcome, folder / f"{self.name}.png")
        (folder / f"{self.name}.md").write_text(self.as_page(), encoding="utf-8")

    def as_record(self) -> dict[str, Any]:
        """For JSON: every repetition, the medians and the ratios, and where they come from."""
        return {
            "benchmark": self.name,
            "date": self.date,
            "command": self.command,
            "machine": self.machine,
            "data": self.outcome.data,
            "comparisons": [each.as_record() for each in self.outcome.comparisons],
            "lines": [asdict(each) for each in self.outcome.lines],
            "notes": self.outcome.notes,
        }

    def as_page(self) -> str:
        """For people, in Markdown."""
        title, _, body = self.description.strip().partition("\n")
        parts = [
            f"# {title.rstrip('.')}",
            body.strip(),
            f"## Measured on {self.date[:10]}",
            f"```\n{self.command}\n```",
            f"Data: {self.outcome.data}.",
            *(
                f"### {_caption(each)}\n\n{_markdown_table(each)}"
                for each in self.outcome.comparisons
            ),
            f"![{title.rstrip('.')}]({self.name}.png)",
            *self.outcome.notes,
            "Each figure is the median of its rounds; a ratio is the median of the ratios within "
            f"the rounds. All repetitions are in [{self.name}.json]({self.name}.json).",
            "## Machine",
            _markdown(["", ""], self.machine.items()),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def _rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a comparison's table."""
    medians, ratios = comparison.medians, comparison.ratios
    several = any(len(values) > 1 for values in comparison.repetitions.values())
    head = ["", f"{comparison.unit}"]
    head += ["lowest", "highest", "rounds"] if several else []
    head += ["ratio"] if ratios else []
    rows = []
    for name, values in comparison.repetitions.items():
        reached = [value for value in values if value is not None]
        row = [name, shown(medians[name])]
        if several:
            ends = [min(reached), max(reached)] if reached else [None, None]
            row += [*map(shown, ends), str(len(values))]
        if ratios:
            row += [shown(ratios[name]) if name in ratios else ""]
        rows.append(row)
    return head, rows


def _caption(comparison: Comparison) -> str:
    ratio = f" (ratio: to {comparison.ratio_to})" if comparison.ratios else ""
    return comparison.title + ratio


def _rich_table(comparison: Comparison) -> Table:
    head, rows = _rows(comparison)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for number, column in enumerate(head):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown_table(comparison: Comparison) -> str:
    return _markdown(*_rows(comparison))


def _markdown(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])] if head[1:] != [""] else ["---", "---"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])
