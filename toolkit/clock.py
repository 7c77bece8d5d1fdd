"""How long each part of a job takes."""

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Measures the parts of a job.

    Attributes:
        parts: Seconds of each part that has ended, in their order.

    Example:
        >>> clock = Clock()
        >>> with clock("probe"):
        ...     fit()
        >>> clock.parts
        {'probe': 1.2}
    """

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._start = time.monotonic()

    @contextlib.contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Measures what is done inside."""
        start = time.monotonic()
        yield
        spent = self.parts.get(part, 0.0) + time.monotonic() - start
        self.parts[part] = round(spent, 3)

    @property
    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._start
