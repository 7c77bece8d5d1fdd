"""A look at a data set before anything is trained on it: what is wrong, the worst first."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import backbones
from toolkit.cache import DEFAULT_SIZE, parse_size
from toolkit.checks.balance import check_balance
from toolkit.checks.duplicates import check_duplicates
from toolkit.checks.facts import Facts, gather_facts
from toolkit.checks.files import check_files
from toolkit.checks.findings import SEVERITIES, Finding
from toolkit.checks.page import write_page
from toolkit.checks.shift import check_shift
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.table import MAX_PIXELS, ImageTable
from toolkit.errors import NoImagesError
from toolkit.files import appearing, naming_full_disk
from toolkit.option_checks import check_whole
from toolkit.output_files import check_writable
from toolkit.progress import Reporter
from toolkit.serving.bundle import write_csv

PAGE, RECORD, QUARANTINE = "audit.html", "audit.json", "quarantine.csv"

CHECKS = (check_files, check_duplicates, check_balance, check_shift)

NO_LABELS_CHECKED = (
    "Labels were not checked: --backbone efficientnet-lite0 looks for wrong ones and outliers by "
    "its features, which it computes where the cache has none."
)


@dataclass(frozen=True)
class AuditResult:
    """What an audit has found.

    Attributes:
        folder: Where the page, the record and the quarantine are.
        images: How many can be read.
        findings: The most important first.
        remarks: What was not looked for, and why.
    """

    folder: Path
    images: int
    findings: list[Finding]
    remarks: list[str]

    @property
    def page(self) -> Path:
        """The page to look at."""
        return self.folder / PAGE

    @property
    def quarantine(self) -> Path:
        """The table of images that are better left out, which `Source(exclude=...)` takes."""
        return self.folder / QUARANTINE


def audit(
    data: str | os.PathLike[str] | Source,
    output: str | os.PathLike[str] = "audit",
    *,
    backbone: str | None = None,
    weights: str | os.PathLike[str] = "imagenet",
    cache_size: str | int = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    quiet: bool = False,
) -> AuditResult:
    """Looks for what is wrong with labelled images, and writes what it finds.

    Files that cannot be read or are called what they are not; identical and nearly identical
    images, above all in two splits or under two labels; small and uneven classes; odd sizes;
    splits that differ in brightness, contrast, size or classes; and by a backbone's features
    labels that are doubtful and images unlike all others. Nothing is changed or deleted.

    Args:
        data: A `toolkit.Source`, or its location alone.
        output: A folder for `audit.html`, `audit.json` and `quarantine.csv`, which replace older
            ones.
        backbone: The pretrained network whose features judge the labels; by default none does.
            Those that the cache has, from a former run of `finetune`, are not computed again.
        weights: Its weights: "imagenet" or a file.
        cache_size: The cache's limit, such as "20GB".
        max_pixels: Larger images are not looked at.
        seed: Of what is drawn by chance, such as the folds in which labels are judged.
        quiet: Show no progress.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.audit("./images", backbone="efficientnet-lite0")
        >>> result.findings[0].title
        '10 images identical to one in another split'
        >>> toolkit.finetune(toolkit.Source("./images", exclude=result.quarantine))
    """
    check_whole("--seed", seed, 0)
    entry = None if backbone is None else backbones.find(backbone)
    cache_bytes = parse_size("--cache-size", cache_size)
    source, reporter = as_source(data), Reporter(quiet)
    folder = Path(output).expanduser()
    check_writable(folder)
    listing = list_source(source, reporter.progress)
    table = scan(listing, max_pixels, reporter.progress)
    facts = gather_facts(table, max_pixels, reporter.progress)
    if not len(facts.table):
        raise NoImagesError(source.location)
    checks = reporter.progress(CHECKS, len(CHECKS), "Checking")
    findings = [finding for check in checks for finding in check(facts)]
    remarks = [NO_LABELS_CHECKED] if entry is None else []
    if entry is not None:
        from toolkit.checks.labels import check_labels

        table, features = _compute_features(
            entry.name, weights, facts.table, max_pixels, cache_bytes, reporter
        )
        findings += check_labels(table, features, seed)
    findings.sort(key=lambda each: (-each.severity, -len(each.suspects)))
    with naming_full_disk("the audit", folder):
        _write(folder, source, facts, findings, remarks)
    return AuditResult(folder, len(facts.table), findings, remarks)


def _compute_features(
    backbone: str,
    weights: str | os.PathLike[str],
    table: ImageTable,
    max_pixels: int,
    cache_bytes: int,
    reporter: Reporter,
) -> tuple[ImageTable, np.ndarray]:
    """What a backbone makes of a table's images, by the fastest engine, out of the cache."""
    from toolkit.classifier.engine import choose_engine
    from toolkit.classifier.features import compute_features
    from toolkit.probing import sample_images

    network = backbones.load(backbone, weights=os.fspath(weights))
    _, height, width, _ = network.model.input_shape
    preparation = Preparation(height, width, max_pixels)
    sample = sample_images(table, preparation)
    engine = choose_engine("auto", network.model, sample, keep=cache_bytes > 0)
    features = compute_features(
        table, network.model, preparation, engine, reporter.progress, cache_bytes=cache_bytes
    )
    return features.table, features.values


def _write(
    folder: Path, source: Source, facts: Facts, findings: list[Finding], remarks: Sequence[str]
) -> None:
    with appearing(folder / PAGE) as path:
        write_page(path, source.location, facts, findings, remarks)
    with appearing(folder / RECORD) as path:
        record = _record(source, facts, findings, remarks)
        path.write_text(json.dumps(record, indent=1), encoding="utf-8")
    with appearing(folder / QUARANTINE) as path:
        write_csv(path, ["path", "kind", "why"], _quarantined(findings))


def _record(
    source: Source, facts: Facts, findings: list[Finding], remarks: Sequence[str]
) -> dict[str, Any]:
    counts = zip(facts.table.classes, facts.table.counts().tolist(), strict=True)
    return {
        "source": asdict(source),
        "images": len(facts.table),
        "classes": dict(counts),
        "findings": [{**asdict(f), "severity": SEVERITIES[f.severity]} for f in findings],
        "remarks": list(remarks),
    }


def _quarantined(findings: list[Finding]) -> list[tuple[str, str, str]]:
    """What is left out for certain, each image once, under the most important finding."""
    rows: dict[str, tuple[str, str, str]] = {}
    for finding in findings:
        for suspect in finding.suspects:
            if suspect.leave_out:
                rows.setdefault(suspect.path, (suspect.path, finding.kind, suspect.why))
    return list(rows.values())
