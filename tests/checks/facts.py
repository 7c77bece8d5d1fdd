"""Facts of images that are never opened."""

import dataclasses
from pathlib import Path

import numpy as np

from toolkit.checks.facts import Facts
from toolkit.data.table import FORMATS, HEADER, SPLITS, ImageTable, Problem


def make_facts(count: int = 6, **columns: object) -> Facts:
    """Facts of `count` sound images in two classes, but for what is given."""
    random = np.random.default_rng(0)
    splits = np.array(columns.get("splits", [""] * count), object)
    headers = np.zeros(count, HEADER)
    headers["height"], headers["width"] = columns.get("height", 100), columns.get("width", 120)
    headers["orientation"] = columns.get("orientation", 1)
    headers["format"] = [FORMATS.index(each) for each in columns.get("formats", ["JPEG"] * count)]
    table = ImageTable(
        root=Path("/none"),
        classes=list(columns.get("classes", ["a", "b"])),
        paths=np.array(columns.get("paths", [f"{k}.jpg" for k in range(count)]), object),
        labels=np.array(columns.get("labels", np.arange(count) % 2), np.int32),
        digests=np.array(columns.get("digests", [f"{k:032x}" for k in range(count)]), object),
        splits=splits,
        given=tuple(name for name in SPLITS if name in splits),
        groups=np.array(columns.get("groups", [""] * count), object),
        problems=[Problem(path, "empty file") for path in columns.get("problems", [])],
        headers=headers,
    )
    return Facts(
        table=table,
        headers=headers,
        brightness=np.array(columns.get("brightness", random.normal(128, 20, count)), np.float32),
        contrast=np.array(columns.get("contrast", random.normal(50, 5, count)), np.float32),
        grey=np.array(columns.get("grey", [False] * count), bool),
        hashes=np.array(columns.get("hashes", far_hashes(count)), np.uint64),
    )


def far_hashes(count: int, seed: int = 1) -> np.ndarray:
    """Hashes of images that look different: uint64 [count, 4]."""
    return np.random.default_rng(seed).integers(0, 2**63, (count, 4)).astype(np.uint64)


def changed(facts: Facts, **columns: object) -> Facts:
    """The facts with other columns of their table."""
    return dataclasses.replace(facts, table=dataclasses.replace(facts.table, **columns))


def by_kind(findings: list) -> dict:
    """{kind: finding}; each kind once."""
    named = {finding.kind: finding for finding in findings}
    assert len(named) == len(findings)
    return named


def paths(finding: object) -> list[str]:
    """Of a finding's suspects."""
    return [suspect.path for suspect in finding.suspects]
