"""Processes that are measured from their start."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError

ROOT = Path(__file__).parent.parent
SHOWN_LINES = 5


def timed_lines(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[tuple[float, str]]:
    """Runs a command, and gives what it writes with the seconds since its start.

    The last item is ("", the seconds at which it had ended).

    Args:
        command: The program and its arguments.
        environment: Variables beside this process' own.

    Raises:
        ToolkitError: It failed; with the end of what it said.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None  # noqa: S101 - For the type checker.
        for line in process.stdout:
            yield time.perf_counter() - start, line.rstrip("\n")
            lines = [*lines[-SHOWN_LINES:], line]
        code = process.wait()
        if code:
            raise ToolkitError(_failure(command, code, "".join(lines).strip()))
        yield time.perf_counter() - start, ""
    finally:
        process.kill()  # Nothing, where it has ended.
        process.communicate()


def _failure(command: Sequence[str], code: int, said: str) -> str:
    """What failed; of the toolkit's own errors, their line."""
    if code == 2 and "Error: " in said:
        return said.rpartition("Error: ")[2]
    return f"{' '.join(command)} ended with {code}:\n{said}"


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> list[str]:
    """Runs a command to its end, and gives the lines that it wrote."""
    return [line for _, line in timed_lines(command, environment)][:-1]


def seconds_of_process(command: Sequence[str]) -> Callable[[], float]:
    """A contestant that measures a whole process."""

    def measure() -> float:
        return list(timed_lines(command))[-1][0]

    return measure


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs a module with this Python."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def record_in(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is, or None: libraries write lines, too."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
