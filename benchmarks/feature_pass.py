"""One feature pass as one process, which tells its time and its memory."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from benchmarks.images import KERAS_BATCH, keras_images
from benchmarks.networks import frozen_network
from benchmarks.settings import Settings
from toolkit.classifier.features import compute_features
from toolkit.data.listing import ListedFile, Listing
from toolkit.data.scan import scan
from toolkit.probing import FrozenNetwork
from toolkit.progress import Reporter


@click.command()
@click.argument("contestant", type=click.Choice(["toolkit", "keras"]))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--backbone", required=True)
@click.option("--weights", required=True)
@click.option("--image-size", type=int)
def main(
    contestant: str, folder: Path, backbone: str, weights: str, image_size: int | None
) -> None:
    """Computes the features of all images in FOLDER, and prints what it took."""
    settings = Settings(print, str(folder), backbone, weights, image_size)
    frozen, _ = frozen_network(settings)
    {"toolkit": _toolkit_pass, "keras": _keras_pass}[contestant](frozen, folder)


def _toolkit_pass(frozen: FrozenNetwork, folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    listing = Listing(folder, [ListedFile(name, "all") for name in names], ["all"])
    progress = Reporter(quiet=True).progress
    some = Listing(folder, listing.files[:KERAS_BATCH], ["all"])
    engine = frozen.engine("auto", scan(some, frozen.preparation.max_pixels, progress))

    def compute() -> int:
        table = scan(listing, frozen.preparation.max_pixels, progress)
        features = compute_features(table, frozen.model, frozen.preparation, engine, progress)
        return len(features.values)

    measure_pass(compute)


def _keras_pass(frozen: FrozenNetwork, folder: Path) -> None:
    height, width = frozen.preparation.height, frozen.preparation.width
    batch = np.zeros([KERAS_BATCH, height, width, 3], np.float32)
    frozen.model.predict(batch, verbose=0)  # Traces.

    def compute() -> int:
        images = keras_images(folder, height, width)
        return len(frozen.model.predict(images, verbose=0))

    measure_pass(compute)


def measure_pass(compute: Callable[[], int]) -> None:
    """Does it, and prints how many images there were, the seconds, and bytes of memory."""
    held, peak = reset_peak()
    start = time.perf_counter()
    images = compute()
    seconds = time.perf_counter() - start
    during = peak_memory()
    record = {"images": images, "seconds": seconds, "peak": max(peak, during)}
    print(json.dumps({**record, "added": during - held}), flush=True)


def reset_peak() -> tuple[int, int]:
    """Bytes of memory that are held now, and the most so far; Linux then forgets the latter.

    Elsewhere, or where that is forbidden, the most so far stands for both.
    """
    peak = peak_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak, peak
    return peak_memory(), peak


def peak_memory() -> int:
    """The most bytes of memory that this process has held.

    On Linux out of /proc: what `getrusage` gives a process begins with its parent's peak.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main()
