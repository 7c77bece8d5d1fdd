"""Which figure of validation tells the better epoch, and what counts as a gain."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolkit.choices import check_choice

CALIBRATED, LOSS, ACCURACY = MONITORS = ("calibrated-loss", "loss", "accuracy")


def figure(name: str) -> str:
    """What the figure is called among those of validation; in a history, `val_` comes before."""
    return name.replace("-", "_")


def check_monitor(name: str) -> None:
    """Refuses what is no figure to watch.

    Raises:
        OptionError: It is none.
    """
    check_choice("--monitor", name, MONITORS)


@dataclass(frozen=True)
class Monitor:
    """Judges epochs by a figure of validation. All that it says follows from the history.

    Attributes:
        name: "calibrated-loss" or "loss", which are to fall, or "accuracy", which is to rise.
        start: The figure that training starts from, the first to be beaten.
        min_delta: A smaller gain does not count for the patience. The best epoch is the best one,
            however small its gain: Keras' `EarlyStopping` would not restore it.

    Example:
        >>> Monitor("loss", start=1.0, min_delta=0.1).last_gain([{"val_loss": 0.95}])
        0
    """

    name: str
    start: float
    min_delta: float = 0.0

    @property
    def gain(self) -> str:
        """What an epoch does that is better than those before, in words."""
        verb = "raised" if self.name == ACCURACY else "lowered"
        return f"{verb} the validation {self.name.replace('-', ' ')}"

    def best_epoch(self, history: Sequence[Mapping[str, float]]) -> int:
        """The best epoch, counted from 1; 0: none is better than the start."""
        return self._last_better(history, 0.0)

    def last_gain(self, history: Sequence[Mapping[str, float]]) -> int:
        """The last epoch, counted from 1, with a gain that counts; 0: none."""
        return self._last_better(history, self.min_delta)

    def _last_better(self, history: Sequence[Mapping[str, float]], by: float) -> int:
        best, found = self._signed(self.start), 0
        for epoch, value in enumerate(self.values(history), start=1):
            if value - by > best:  # What is no number is never better.
                best, found = value, epoch
        return found

    def values(self, history: Sequence[Mapping[str, float]]) -> Iterator[float]:
        """The figure of each epoch, with its sign turned where less is better."""
        return (self._signed(row[f"val_{figure(self.name)}"]) for row in history)

    def _signed(self, value: float) -> float:
        """The value, so that more is better."""
        return value if self.name == ACCURACY else -value
