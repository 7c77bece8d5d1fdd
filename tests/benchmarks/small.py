"""Benchmarks on a small network: their options."""

from pathlib import Path

from benchmarks.settings import Settings
from tests.tiny import NAME


def small_settings(data: Path, epochs: int) -> Settings:
    """To train `tests.tiny`'s network in one round."""
    return Settings(
        say=lambda line: None,
        data=str(data),
        backbone=NAME,
        weights="random",
        image_size=32,
        repetitions=1,
        epochs=epochs,
    )
