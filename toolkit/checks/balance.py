"""How many images each class has."""

import numpy as np

from toolkit.checks.facts import Facts
from toolkit.checks.findings import DOUBTFUL, SERIOUS, Finding, count

FEW = 20
UNEVEN = 10.0


def check_balance(facts: Facts) -> list[Finding]:
    """Looks for classes that are empty, small, or much smaller than others."""
    counts, classes = facts.table.counts(), facts.table.classes
    findings = []
    if len(classes) < 2:
        title = f"{count(len(classes), 'class')}: a classifier needs at least two"
        findings.append(Finding("classes", SERIOUS, title, "Put each class in its own folder."))
    small = [f"{classes[k]!r} ({counts[k]})" for k in np.argsort(counts) if counts[k] < FEW]
    if small:
        shown = ", ".join(small[:8]) + (", ..." if len(small) > 8 else "")
        title = f"{count(len(small), 'class')} with fewer than {FEW} images: {shown}"
        advice = "Add images: neither training nor measuring is worth much with so few."
        findings.append(Finding("few-images", DOUBTFUL, title, advice))
    held = counts[counts > 0]
    if len(held) > 1 and held.max() >= UNEVEN * held.min():
        most, least = (classes[list(counts).index(number)] for number in (held.max(), held.min()))
        title = f"{most!r} has {held.max() / held.min():.0f} times as many images as {least!r}"
        advice = "--imbalance auto lets each class count the same; look at macro-F1."
        findings.append(Finding("imbalance", DOUBTFUL, title, advice))
    return findings
