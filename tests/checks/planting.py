"""Real photos, split at random, with ten faults of each kind planted among them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

COUNT = 10
ORIENTATION = 0x0112
DEGREES = {3: 180, 6: 90, 8: 270}


@dataclass(frozen=True)
class Planted:
    """What was planted: for each kind of finding, sets of paths of which one is to be named."""

    faults: dict[str, list[set[str]]]
    turned_before: set[str]


def plant(photos: Path, folder: Path, seed: int) -> Planted:
    """Copies class folders of photos into train, val and test, and spoils some of them."""
    random = np.random.default_rng(seed)
    files = [path for path in sorted(photos.glob("*/*")) if path.suffix.lower() == ".jpg"]
    placed = []
    for path in files:
        split = random.choice(["train", "val", "test"], p=[0.7, 0.15, 0.15])
        to = folder / split / path.parent.name / path.name
        to.parent.mkdir(parents=True, exist_ok=True)
        placed.append(Path(shutil.copy(path, to)))
    turned = {_name(path, folder) for path in placed if _orientation(path) != 1}
    order = iter(random.permutation(len(placed)))
    sound = (placed[k] for k in order if _name(placed[k], folder) not in turned)
    kinds = {
        "unreadable": _cut,
        "label": _relabel,
        "leak": _copy,
        "near-leak": _save_again,
        "extension": _rename,
        "rotated": _turn,
    }
    faults = {
        kind: [{_name(p, folder) for p in spoil(next(sound), random)} for _ in range(COUNT)]
        for kind, spoil in kinds.items()
    }
    return Planted(faults, turned)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _orientation(path: Path) -> int:
    with Image.open(path) as image:
        return image.getexif().get(ORIENTATION, 1)


def _cut(path: Path, random: np.random.Generator) -> Iterator[Path]:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * random.uniform(0.3, 0.9))])
    yield path


def _relabel(path: Path, random: np.random.Generator) -> Iterator[Path]:
    others = [each for each in sorted(path.parent.parent.iterdir()) if each != path.parent]
    yield path.rename(others[random.integers(len(others))] / f"moved-{path.name}")


def _elsewhere(path: Path, prefix: str) -> Path:
    split = "test" if path.parts[-3] == "train" else "train"
    to = path.parents[2] / split / path.parent.name / f"{prefix}-{path.name}"
    to.parent.mkdir(parents=True, exist_ok=True)
    return to


def _copy(path: Path, random: np.random.Generator) -> Iterator[Path]:
    yield from (path, Path(shutil.copy(path, _elsewhere(path, "copy"))))


def _save_again(path: Path, random: np.random.Generator) -> Iterator[Path]:
    to = _elsewhere(path, "again")
    with Image.open(path) as image:
        image.convert("RGB").save(to, quality=int(random.integers(50, 86)))
    yield from (path, to)


def _rename(path: Path, random: np.random.Generator) -> Iterator[Path]:
    yield path.rename(path.with_suffix(".png"))


def _turn(path: Path, random: np.random.Generator) -> Iterator[Path]:
    orientation, exif = int(random.choice(list(DEGREES))), Image.Exif()
    exif[ORIENTATION] = orientation
    with Image.open(path) as image:
        turned = image.convert("RGB").rotate(DEGREES[orientation], expand=True)
    turned.save(path, quality=95, exif=exif)
    yield path
