"""The same image more than once: in two splits, under two labels, or only twice."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from toolkit.checks.facts import Facts
from toolkit.checks.findings import DOUBTFUL, NOTE, SERIOUS, Finding, Suspect, count, suspect
from toolkit.data.groups import has_groups, units
from toolkit.data.near_duplicates import near_groups, near_pairs
from toolkit.data.table import SPLITS, ImageTable


@dataclass(frozen=True)
class _Sort:
    """How copies of one sort are spoken of.

    Attributes:
        prefix: Of the findings' names.
        noun: What two such images are to each other.
        exact: Whether nobody need look whether they are the same.
    """

    prefix: str
    noun: str
    exact: bool


EXACT, NEAR = _Sort("", "identical", exact=True), _Sort("near-", "nearly identical", exact=False)


def check_duplicates(facts: Facts) -> list[Finding]:
    """Looks for identical files, images that look the same, and groups in two splits."""
    _, exact = np.unique(facts.table.digests.astype(str), return_inverse=True)
    near = near_groups(near_pairs(facts.hashes), len(facts.table))
    findings = [*_judge(facts.table, exact, exact, EXACT), *_judge(facts.table, near, exact, NEAR)]
    return findings + _groups_apart(facts.table)


def _judge(table: ImageTable, sets: np.ndarray, exact: np.ndarray, sort: _Sort) -> list[Finding]:
    conflicts: list[Suspect] = []
    leaks: list[Suspect] = []
    copies: list[Suspect] = []
    for rows in _sets(sets):
        if not sort.exact:
            rows = _one_of_each(table, rows, exact)
        if len(set(table.labels[rows])) > 1:
            conflicts += _pairs(table, rows, table.labels, sort, leave_out=sort.exact)
        elif len(set(table.splits[rows])) > 1:
            leaks += _leaks(table, rows, sort)
        elif len(rows) > 1:
            copies += _copies(table, rows, sort)
    found = [_conflict_finding(conflicts, sort), _leak_finding(leaks, sort)]
    return [each for each in [*found, _copy_finding(table, copies, sort)] if each.suspects]


def _sets(sets: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of each set with more than one."""
    order = np.argsort(sets, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(sets[order])) + 1):
        if len(rows) > 1:
            yield rows


def _one_of_each(table: ImageTable, rows: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Without further identical files of one label and split, which are named as such."""
    keys = [(exact[row], table.labels[row], table.splits[row]) for row in rows]
    rows = np.array([row for k, row in enumerate(rows) if keys[k] not in keys[:k]])
    return rows if len(set(exact[rows])) > 1 else rows[:1]


def _pairs(
    table: ImageTable, rows: np.ndarray, column: np.ndarray, sort: _Sort, leave_out: bool
) -> list[Suspect]:
    """Each of the rows, beside one that differs in a column."""
    found = []
    for row in rows:
        other = next(each for each in rows if column[each] != column[row])
        why = f"{sort.noun} to {table.paths[other]}: {table.classes[table.labels[other]]!r}"
        more = {"beside": table.paths[other], "leave_out": leave_out}
        found.append(suspect(table, row, why, **more))
    return found


def _leaks(table: ImageTable, rows: np.ndarray, sort: _Sort) -> list[Suspect]:
    """Those that others of a later split repeat; what is held out is kept."""
    rank = [SPLITS.index(split) if split else -1 for split in table.splits[rows]]
    kept = rows[int(np.argmax(rank))]
    found = []
    for row, place in zip(rows, rank, strict=True):
        if place != max(rank):
            why = f"{sort.noun} to {table.paths[kept]} in {table.splits[kept]}"
            more = {"beside": table.paths[kept], "leave_out": True}
            found.append(suspect(table, row, why, **more))
    return found


def _copies(table: ImageTable, rows: np.ndarray, sort: _Sort) -> list[Suspect]:
    why = f"{sort.noun} to {table.paths[rows[0]]}"
    more = {"beside": table.paths[rows[0]], "leave_out": sort.exact}
    return [suspect(table, row, why, **more) for row in rows[1:]]


def _conflict_finding(found: list[Suspect], sort: _Sort) -> Finding:
    title = f"{count(len(found))} {sort.noun} to one with another label"
    advice = "Find out which label is right." + (" Until then, leave all out." * sort.exact)
    return Finding(f"{sort.prefix}two-labels", SERIOUS, title, advice, found)


def _leak_finding(found: list[Suspect], sort: _Sort) -> Finding:
    title = f"{count(len(found))} {sort.noun} to one in another split"
    advice = "What is measured is too good: leave those out that are trained on."
    return Finding(f"{sort.prefix}leak", SERIOUS, title, advice, found)


def _copy_finding(table: ImageTable, found: list[Suspect], sort: _Sort) -> Finding:
    title = f"{count(len(found))} {sort.noun} to another of the same class"
    if sort.exact:
        advice = "One is enough. They are always put on the same side of a split."
        return Finding("copies", NOTE, title, advice, found)
    advice = "Keep them on one side of the split: --group-near-duplicates."
    severity = NOTE if table.given else DOUBTFUL
    return Finding("near-copies", severity, title, advice, found)


def _groups_apart(table: ImageTable) -> list[Finding]:
    """Groups that the source itself puts into two splits."""
    if table.groups is None or not has_groups(table) or not table.given:
        return []
    found: list[Suspect] = []
    for rows in _sets(np.unique(units(table).astype(str), return_inverse=True)[1]):
        if len(set(table.splits[rows])) > 1:
            names = ", ".join(sorted({split for split in table.splits[rows] if split}))
            found += [suspect(table, row, f"{table.groups[row]} is in {names}") for row in rows]
    title = f"{count(len(found))} of groups that are in more than one split"
    advice = "What is measured is too good: `toolkit split` keeps groups together."
    return [Finding("groups-apart", SERIOUS, title, advice, found)] if found else []
