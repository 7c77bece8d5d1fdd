"""Splits whose images differ from those that are trained on: what is measured is another thing."""

from collections.abc import Iterator

import numpy as np

from toolkit.checks.facts import Facts
from toolkit.checks.findings import DOUBTFUL, SERIOUS, Finding
from toolkit.data.table import TEST, TRAIN, VALIDATION

CHANCE = 0.01
"""Of any such finding at all, where there is no difference."""

SMALL, LARGE = 0.1, 0.3
"""Of the largest difference of two cumulative shares, from which on it is told, and serious."""

LEAST = 20
"""Images in a split, below which nothing is compared."""


def check_shift(facts: Facts) -> list[Finding]:
    """Compares brightness, contrast, size, shape and classes of the splits that the source gives.

    Numbers by the two-sample Kolmogorov-Smirnov test (Hodges 1958), classes by the chi-squared
    test, with Bonferroni's correction. With many images the smallest difference is beyond chance,
    so that it must be large enough, too.
    """
    splits = facts.table.splits
    held_out = [name for name in (VALIDATION, TEST) if (splits == name).sum() >= LEAST]
    if (splits == TRAIN).sum() < LEAST:
        return []
    tests = [(name, *each) for name in held_out for each in _compare(facts, name)]
    return [
        _finding(split, measure, how, difference)
        for split, measure, how, difference, chance in tests
        if chance * len(tests) < CHANCE and difference > SMALL
    ]


def measures(facts: Facts) -> dict[str, np.ndarray]:
    """What is compared of each image, by name."""
    height, width = (facts.headers[side].astype(float) for side in ("height", "width"))
    turned = facts.headers["orientation"] > 4
    ratio = np.where(turned, height / width, width / height)
    pixels = np.sqrt(height * width)
    named = {"brightness": facts.brightness, "contrast": facts.contrast, "size": pixels}
    return {**named, "width / height": ratio}


def _compare(facts: Facts, name: str) -> Iterator[tuple[str, str, float, float]]:
    """For each measure: its name, how it differs, by how much, and how likely by chance."""
    from scipy.stats import ks_2samp

    train, held_out = facts.table.splits == TRAIN, facts.table.splits == name
    for measure, values in measures(facts).items():
        result = ks_2samp(values[held_out], values[train], method="asymp")
        medians = np.median(values[held_out]), np.median(values[train])
        how = f"median {medians[0]:.3g} against {medians[1]:.3g}"
        yield measure, how, float(result.statistic), float(result.pvalue)
    yield "classes", *_compare_classes(facts, train, held_out)


def _compare_classes(
    facts: Facts, train: np.ndarray, held_out: np.ndarray
) -> tuple[str, float, float]:
    from scipy.stats import chi2_contingency

    labels, classes = facts.table.labels, facts.table.classes
    counts = np.array([np.bincount(labels[r], minlength=len(classes)) for r in (held_out, train)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    change = shares[0] - shares[1]
    most = int(np.abs(change).argmax())
    how = f"{classes[most]!r} {shares[0, most]:.0%} against {shares[1, most]:.0%}"
    kept = counts[:, counts.any(axis=0)]
    chance = float(chi2_contingency(kept).pvalue) if kept.shape[1] > 1 else 1.0
    return how, float(np.abs(change).sum() / 2), chance


def _finding(split: str, measure: str, how: str, difference: float) -> Finding:
    title = f"The {split} images differ from the training images in {measure} ({how})"
    advice = "What is measured on them is no forecast for images like those trained on."
    severity = SERIOUS if difference > LARGE else DOUBTFUL
    return Finding("shift", severity, title, advice)
