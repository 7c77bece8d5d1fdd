"""The page that an audit is read on: one HTML file with all its pictures inside."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from toolkit.checks.facts import Facts
from toolkit.checks.findings import SEVERITIES, Finding, Suspect
from toolkit.checks.shift import measures
from toolkit.data.table import SPLITS
from toolkit.data.thumbnails import thumbnail
from toolkit.evaluation.pictures.distributions import distributions_svg

SHOWN = 24
"""Images of each finding."""

SHOWN_CLASSES = 200
SIDE, QUALITY = 160, 80


def write_page(
    path: Path, source: str, facts: Facts, findings: Sequence[Finding], remarks: Sequence[str]
) -> None:
    """Writes the page.

    Args:
        path: The file to write.
        source: What the data is called.
        facts: Of its images.
        findings: The most important first.
        remarks: What else is to be said, such as what was not looked for.
    """
    import jinja2

    loader = jinja2.PackageLoader("toolkit", "checks")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    table = facts.table
    counts = sorted(zip(table.classes, table.counts().tolist(), strict=True), key=lambda c: -c[1])
    page = environment.get_template("page.html").render(
        source=source,
        images=len(table),
        splits={n: int((table.splits == n).sum()) for n in SPLITS if n in table.given},
        classes=counts[:SHOWN_CLASSES],
        largest=max([number for _, number in counts], default=1) or 1,
        findings=[_shown(table.root, finding) for finding in findings],
        remarks=remarks,
        distributions=Markup(_distributions(facts)),  # noqa: S704 - Matplotlib's own, of numbers.
    )
    path.write_text(page, encoding="utf-8", errors="backslashreplace")


def _shown(root: Path, finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": SEVERITIES[finding.severity],
        "title": finding.title,
        "advice": finding.advice,
        "shown": [_picture(root, suspect) for suspect in finding.suspects[:SHOWN]],
        "more": max(0, len(finding.suspects) - SHOWN),
    }


def _picture(root: Path, suspect: Suspect) -> dict[str, str]:
    return {
        "path": suspect.path,
        "label": suspect.label,
        "split": suspect.split,
        "why": suspect.why,
        "image": _encode(root / suspect.path),
        "other": _encode(root / suspect.beside) if suspect.beside else "",
    }


def _encode(path: Path) -> str:
    """A small JPEG in base 64, or "" where the file is no image."""
    try:
        small = Image.fromarray(thumbnail(path, SIDE))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _distributions(facts: Facts) -> str:
    splits = facts.table.splits
    parts = {name: splits == name for name in SPLITS if np.any(splits == name)}
    rest = splits == ""
    if rest.any() or not parts:
        parts["all" if not parts else "not split"] = rest
    return distributions_svg(measures(facts), parts)
