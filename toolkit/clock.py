"""How long each part of a job takes, and times as people write them."""

import contextlib
import math
import re
import time
from collections.abc import Iterator

from toolkit.errors import OptionError

_UNITS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


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


def parse_duration(option: str, value: str | float | None) -> float | None:
    """Seconds of a time such as "20m", "90s" or "1h30m", or of a number of seconds.

    Raises:
        OptionError: It is no such time, or none at all.
    """
    if value is None:
        return None
    rule = "a time above 0 such as 90s, 20m or 1h30m"
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if not found or not any(found.groups()):
            raise OptionError(option, rule, value)
        parts = zip(found.groups(), _UNITS.values(), strict=True)
        seconds = float(sum(int(number or 0) * unit for number, unit in parts))
    else:
        seconds = float(value)
    if not 0 < seconds < math.inf:
        raise OptionError(option, rule, value)
    return seconds


def duration(seconds: float) -> str:
    """Seconds as `parse_duration` takes them: "1h30m", "20m", "90s" (up to two minutes)."""
    whole = round(seconds)
    if whole < 120 or (whole % 60 and whole < 600):
        return f"{whole}s"
    hours, minutes = divmod(round(whole / 60), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")
