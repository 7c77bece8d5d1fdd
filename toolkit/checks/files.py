"""Files that cannot be read, are called what they are not, or show little."""

from pathlib import PurePosixPath

import numpy as np

from toolkit.checks.facts import Facts
from toolkit.checks.findings import DOUBTFUL, NOTE, Finding, Suspect, count, suspects
from toolkit.data.parts import is_part
from toolkit.data.table import FORMATS

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
SMALL_SIDE = 32
LONG = 3.0
BLANK = 4.0
"""Contrast in grey levels, below which an image shows nothing."""

FEW, MOST = 0.01, 0.99
"""Shares between which it is worth saying that some images are grey."""


def check_files(facts: Facts) -> list[Finding]:
    """Looks for unreadable files, wrong extensions, rotation, and odd sizes and contents."""
    checks = [_unreadable, _extensions, _rotated, _small, _long, _blank, _grey]
    return [finding for check in checks for finding in check(facts)]


def _unreadable(facts: Facts) -> list[Finding]:
    found = [Suspect(each.path, each.reason, leave_out=True) for each in facts.table.problems]
    title = f"{count(len(found), 'file')} cannot be read"
    advice = "Fetch them again from where they came; training leaves them out."
    return [Finding("unreadable", DOUBTFUL, title, advice, found)] if found else []


def _extensions(facts: Facts) -> list[Finding]:
    table = facts.table
    rows, whys = [], []
    for row, (path, number) in enumerate(zip(table.paths, facts.headers["format"], strict=True)):
        suffix, kind = PurePosixPath(path).suffix.lower(), FORMATS[number]
        if suffix and suffix not in SUFFIXES[kind] and not is_part(path):
            rows.append(row)
            whys.append(f"a {kind} file, called {suffix}")
    title = f"{count(len(rows))} with a wrong extension"
    advice = "Rename them: this toolkit goes by the content, others may not."
    found = suspects(table, np.array(rows, int), whys)
    return [Finding("extension", DOUBTFUL, title, advice, found)] if found else []


def _rotated(facts: Facts) -> list[Finding]:
    turned = facts.headers["orientation"]
    rows = np.flatnonzero(turned > 1)
    found = suspects(facts.table, rows, [f"EXIF orientation {turned[row]}" for row in rows])
    title = f"{count(len(found))} stored turned, with the way up in their EXIF data"
    advice = "Nothing: they are turned upright here. A program that does not would see them lying."
    return [Finding("rotated", NOTE, title, advice, found)] if found else []


def _small(facts: Facts) -> list[Finding]:
    sides = np.stack([facts.headers["height"], facts.headers["width"]])
    rows = np.flatnonzero(sides.min(axis=0) < SMALL_SIDE)
    rows = rows[np.argsort(sides.min(axis=0)[rows], kind="stable")]
    whys = [f"{sides[1, row]} x {sides[0, row]} pixels" for row in rows]
    title = f"{count(len(rows))} smaller than {SMALL_SIDE} pixels"
    advice = "Look for larger ones, unless all that will be served are as small."
    found = suspects(facts.table, rows, whys)
    return [Finding("small", DOUBTFUL, title, advice, found)] if found else []


def _long(facts: Facts) -> list[Finding]:
    height, width = (facts.headers[side].astype(float) for side in ("height", "width"))
    ratio = np.maximum(height, width) / np.minimum(height, width)
    rows = np.flatnonzero(ratio > LONG)
    rows = rows[np.argsort(-ratio[rows], kind="stable")]
    found = suspects(facts.table, rows, [f"{ratio[row]:.1f} : 1" for row in rows])
    title = f"{count(len(rows))} more than {LONG:g} times as long as wide"
    advice = "Their ends are cut off; --crop pad or squash keeps them."
    return [Finding("long", NOTE, title, advice, found)] if found else []


def _blank(facts: Facts) -> list[Finding]:
    rows = np.flatnonzero(facts.contrast < BLANK)
    whys = [f"contrast {facts.contrast[row]:.1f} of 127" for row in rows]
    found = suspects(facts.table, rows, whys)
    title = f"{count(len(rows))} that show next to nothing"
    advice = "Look at them: covered lenses, placeholders and failed downloads look so."
    return [Finding("blank", DOUBTFUL, title, advice, found)] if found else []


def _grey(facts: Facts) -> list[Finding]:
    share = float(facts.grey.mean())
    if not FEW <= share <= MOST:
        return []
    classes = facts.table.classes
    held = facts.table.counts()
    grey = np.bincount(facts.table.labels[facts.grey], minlength=len(classes))
    shares = grey / np.maximum(held, 1)
    most = int(shares.argmax())
    title = f"{share:.0%} of the images are grey, of {classes[most]!r} {shares[most]:.0%}"
    advice = "Where one class is grey, a model learns that; --augment strong takes colours away."
    rows = np.flatnonzero(facts.grey)
    return [Finding("grey", NOTE, title, advice, suspects(facts.table, rows, [""] * len(rows)))]
