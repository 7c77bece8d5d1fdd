"""Manifests of fewer photos than there are, for recipes that need few or uneven classes."""

import csv
import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import toolkit

TRAIN, VALIDATION, TEST = "train", "validation", "test"

Row = dict[str, str]


def thinned(data: str, folder: Path, ratio: int, seed: int) -> toolkit.Source:
    """All photos, but of the last class 1/ratio of its training photos, and others between."""

    def thin(rows: list[Row]) -> Iterable[Row]:
        classes = sorted({row["label"] for row in rows})
        seen = dict.fromkeys(classes, 0)
        for row in rows:
            share = ratio ** (-classes.index(row["label"]) / (len(classes) - 1))
            before = int(seen[row["label"]] * share)
            seen[row["label"]] += row["split"] == TRAIN
            if row["split"] != TRAIN or int(seen[row["label"]] * share) > before:
                yield row

    return _rewritten(data, folder, f"thinned-{ratio}", seed, thin)


def few_of_each(data: str, folder: Path, count: int, seed: int) -> toolkit.Source:
    """So many photos of each class to learn from, one in five of them validation; and all test."""

    def take(rows: list[Row]) -> Iterable[Row]:
        taken: Counter[str] = Counter()
        # Neighbours in a folder are often of one series, and would all be alike.
        for row in random.Random(seed).sample(rows, len(rows)):
            if row["split"] == TEST:
                yield row
            elif taken[row["label"]] < count:
                taken[row["label"]] += 1
                held_out = taken[row["label"]] % 5 == 0
                yield row | {"split": VALIDATION if held_out else TRAIN}

    return _rewritten(data, folder, f"{count}-of-each", seed, take)


def _rewritten(
    data: str, folder: Path, name: str, seed: int, change: Callable[[list[Row]], Iterable[Row]]
) -> toolkit.Source:
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f"all-{seed}.csv"
    whole.unlink(missing_ok=True)
    split = toolkit.split(data, whole, seed=seed, quiet=True)
    with open(whole, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    path = folder / f"{name}-{seed}.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(change(rows))
    return toolkit.Source(path, root=split.root or None)
