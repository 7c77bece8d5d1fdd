"""Manifests: tables, CSV or Parquet, of images with their labels, splits and groups."""

import csv
import dataclasses
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from toolkit.data.listing import SPLIT_NAMES, ListedFile, Listing
from toolkit.data.table import SPLITS, ImageTable, Problem
from toolkit.errors import ManifestError, MissingPackageError, OptionError
from toolkit.files import appearing

log = logging.getLogger("toolkit")

SUFFIXES = (".csv", ".parquet")
PATH, LABEL, SPLIT, GROUP = COLUMNS = ("path", "label", "split", "group")
REQUIRED = (PATH, LABEL)


def is_manifest(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a manifest, by its name."""
    return Path(source).suffix.lower() in SUFFIXES


def parse_columns(text: str) -> dict[str, str]:
    """Other names of columns, as `label=species,group=camera`: {"label": "species", ...}.

    Raises:
        OptionError: It is not of that form, or no such column has a use.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    names = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    if not all(names.values()) or not set(names) <= set(COLUMNS):
        rule = "pairs as label=species,group=camera; what can be named is " + ", ".join(COLUMNS)
        raise OptionError("--columns", rule, text)
    return names


def columns_of(manifest: Path) -> list[str]:
    """The names of a manifest's columns."""
    return list(next(iter(_read(manifest)), {}))


def list_manifest(
    manifest: Path, columns: Mapping[str, str] | None = None, root: Path | None = None
) -> Listing:
    """Lists the files of a manifest.

    Args:
        manifest: A CSV file in UTF-8 with a header, or a Parquet file, with the columns path and
            label, and if it likes split (train, val or test, or empty) and group.
        columns: The names that these columns have in it, where they are others.
        root: The folder that relative paths are resolved against, and in which all images lie; by
            default the manifest's own.

    Raises:
        ManifestError: It cannot be read, lacks a column, or has a row that cannot be meant.
    """
    names = {name: name for name in COLUMNS} | dict(columns or {})
    root = (root or manifest.parent).expanduser().absolute()
    files, problems, twice = _read_rows(manifest, _read(manifest), names, root)
    if twice:
        log.warning("%d rows of %s are there twice, and taken once.", twice, manifest)
    classes = sorted({file.class_name for file in files})
    given = {file.split for file in files} - {""}
    splits = tuple(split for split in SPLITS if split in given)
    return Listing(root, files, classes, splits, problems)


def leave_out(listing: Listing, path: Path) -> Listing:
    """A listing without the images that a table names in its column path.

    Raises:
        ManifestError: The table cannot be read, or has no such column.
    """
    if not is_manifest(path):
        raise OptionError("--exclude", f"a table ({', '.join(SUFFIXES)})", str(path))
    rows = list(_read(path))
    if rows and PATH not in rows[0]:
        there = ", ".join(map(repr, rows[0]))
        raise ManifestError(path, f"it lacks the column 'path' and has {there}", "rename one")
    named = {row[PATH] for row in rows}
    files = [file for file in listing.files if file.path not in named]
    problems = [problem for problem in listing.problems if problem.path not in named]
    left_out = len(listing.files) + len(listing.problems) - len(files) - len(problems)
    if left_out < len(named):
        unknown = len(named) - left_out
        log.warning("%d of the %d images in %s are not in the data.", unknown, len(named), path)
    return dataclasses.replace(listing, files=files, problems=problems)


def write_manifest(table: ImageTable, path: Path) -> None:
    """Writes a table as a manifest, CSV, whose paths are relative to the table's root.

    Raises:
        OSError: It cannot be written.
    """
    with appearing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, name in enumerate(table.paths):
            group = "" if table.groups is None else table.groups[row]
            writer.writerow([name, table.classes[table.labels[row]], table.splits[row], group])


def _read_rows(
    manifest: Path, rows: Iterable[Mapping[str, str]], names: Mapping[str, str], root: Path
) -> tuple[list[ListedFile], list[Problem], int]:
    files: dict[str, ListedFile] = {}
    problems, twice = [], 0
    for number, row in enumerate(rows, start=2):  # As an editor counts lines.
        if number == 2:
            _check_columns(manifest, row, names)
        file = _read_row(manifest, number, row, names, root)
        known = files.setdefault(file.path, file)
        twice += known is not file
        if known != file:
            problem = f"{file.path} is {_said(known)}, and in row {number} {_said(file)}"
            raise ManifestError(manifest, problem)
    unlabelled = [path for path, file in files.items() if not file.class_name]
    problems = [Problem(path, "without a label") for path in unlabelled]
    for path in unlabelled:
        del files[path]
    if not files:
        raise ManifestError(manifest, "it has no row with a path and a label")
    return list(files.values()), problems, twice


def _said(file: ListedFile) -> str:
    return " ".join(filter(None, [repr(file.class_name), file.split, file.group]))


def _check_columns(manifest: Path, row: Mapping[str, str], names: Mapping[str, str]) -> None:
    # A column that is named must be there, too, unless it has its usual name.
    wanted = [name for ours, name in names.items() if ours in REQUIRED or ours != name]
    missing = [name for name in wanted if name not in row]
    if missing:
        there = ", ".join(map(repr, row))
        mend = "name those that are meant with --columns, as --columns path=file,label=class"
        lacks = ", ".join(map(repr, missing))
        raise ManifestError(manifest, f"it lacks the column {lacks} and has {there}", mend)


def _read_row(
    manifest: Path, number: int, row: Mapping[str, str], names: Mapping[str, str], root: Path
) -> ListedFile:
    values = {ours: (row.get(name) or "").strip() for ours, name in names.items()}
    split = values[SPLIT].lower()
    if split and split not in SPLIT_NAMES:
        known = ", ".join(SPLIT_NAMES)
        problem = f"row {number} has the split {values[SPLIT]!r}; known are {known}, or nothing"
        raise ManifestError(manifest, problem)
    path = _inside(manifest, number, values[PATH], root)
    return ListedFile(path, values[LABEL], SPLIT_NAMES.get(split, ""), values[GROUP])


def _inside(manifest: Path, number: int, name: str, root: Path) -> str:
    """A path relative to the root; none leads out of it."""
    if not name:
        raise ManifestError(manifest, f"row {number} has no path")
    path = PurePosixPath(name)
    if path.is_absolute() and path.is_relative_to(root):
        path = path.relative_to(root)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        mend = "give the folder that holds all images with --root"
        raise ManifestError(manifest, f"row {number} leads out of {root}: {name!r}", mend)
    return path.as_posix()


def _read(manifest: Path) -> Iterator[dict[str, str]]:
    return (_read_parquet if manifest.suffix.lower() == ".parquet" else _read_csv)(manifest)


def _read_csv(manifest: Path) -> Iterator[dict[str, str]]:
    try:
        with open(manifest, newline="", encoding="utf-8-sig") as file:
            yield from csv.DictReader(file)
    except UnicodeDecodeError as error:
        mend = f"save it as UTF-8: iconv -f latin1 -t utf-8 {manifest.name} > utf8.csv"
        raise ManifestError(manifest, f"it is not UTF-8 text ({error.reason})", mend) from error
    except (OSError, csv.Error) as error:
        raise ManifestError(manifest, str(error)) from error


def _read_parquet(manifest: Path) -> Iterator[dict[str, str]]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("A Parquet manifest", "'toolkit[parquet]'") from error
    try:
        with parquet.ParquetFile(manifest) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield {name: _text(value) for name, value in row.items()}
    except (OSError, pyarrow.ArrowException) as error:
        raise ManifestError(manifest, str(error).splitlines()[0]) from error


def _text(value: object) -> str:
    return "" if value is None else str(value)
