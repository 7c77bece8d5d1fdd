"""Splits as files: manifests that every command reads back."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.data.folds import fold_splits
from toolkit.data.groups import has_groups, units
from toolkit.data.manifest import write_manifest
from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.splits import assign_splits, check_classes, check_fractions
from toolkit.data.table import MAX_PIXELS, SPLITS, ImageTable, Problem
from toolkit.errors import NotWritableError, OptionError
from toolkit.files import naming_full_disk
from toolkit.option_checks import check_whole, model_name
from toolkit.progress import Reporter


@dataclasses.dataclass(frozen=True)
class SplitResult:
    """The manifests that were written.

    Attributes:
        paths: Of each; more than one with folds.
        root: What is to be given with `--root` to read them; "" where they need none.
        counts: For each manifest, images of train, validation and test in each class:
            {split: {class: images}}.
        groups: How many units there are that stay together; 0 where each image is one of its own.
        problems: Files that are left out.
    """

    paths: list[Path]
    root: str
    counts: list[dict[str, dict[str, int]]]
    groups: int
    problems: list[Problem]


def split(
    data: str | os.PathLike[str] | Source,
    output: str | os.PathLike[str] | None = None,
    *,
    split: Sequence[float] | str = "auto",
    folds: int | None = None,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    quiet: bool = False,
) -> SplitResult:
    r"""Shares out a source's images and writes a manifest, which every command reads back.

    The places are those that `finetune` gives with the same seed and options.

    Args:
        data: A `toolkit.Source`, or its location alone.
        output: A new CSV file; with folds, files with "-fold-1", "-fold-2", ... before its suffix.
            By default the data's name with "-splits.csv", in the working folder.
        split: Shares of train, validation and test, or "auto" (see `finetune`).
        folds: Writes so many manifests, each with another part of all but the test images as
            validation: stratified, and no group on two sides (scikit-learn's
            `StratifiedGroupKFold`).
        max_pixels: Larger images are left out.
        seed: Another seed gives another split.
        quiet: Show no progress.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> toolkit.split(toolkit.Source("./images", group_by=r"(patient-\d+)")).paths
        [PosixPath('images-splits.csv')]
    """
    check_fractions(split)
    check_whole("--seed", seed, 0)
    if folds is not None:
        check_whole("--folds", folds, 2)
    source = as_source(data)
    reporter = Reporter(quiet)
    listing = list_source(source, reporter.progress)
    name = f"{model_name(None, source.location)}-splits.csv"
    path = Path(output).expanduser() if output is not None else Path(name)
    paths = [path]
    if folds is not None:
        paths = [path.with_stem(f"{path.stem}-fold-{number + 1}") for number in range(folds)]
    _check_new(paths)
    table = scan(listing, max_pixels, reporter.progress)
    if source.group_near_duplicates:
        from toolkit.data.perceptual_hash import group_near_duplicates

        table = group_near_duplicates(table, reporter.progress, max_pixels)
    reporter.problems(table.problems, "the result's `problems`")
    check_classes(table)
    whole = assign_splits(table, split, seed)
    tables = [whole] if folds is None else list(fold_splits(whole, folds, seed))
    with naming_full_disk("the manifest", path):
        relative = [_write(each, to) for each, to in zip(tables, paths, strict=True)]
    return SplitResult(
        paths=paths,
        root="" if all(relative) else os.path.normpath(table.root),
        counts=[_counts(each) for each in tables],
        groups=len(set(units(table))) if has_groups(table) else 0,
        problems=table.problems,
    )


def _check_new(paths: list[Path]) -> None:
    for path in paths:
        if path.suffix.lower() != ".csv" or path.exists():
            raise OptionError("--output", "a new file whose name ends in .csv", str(path))


def _write(table: ImageTable, path: Path) -> bool:
    """Writes a manifest; tells whether its paths are relative to its own folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.parent.resolve()
        inside = table.root.resolve().is_relative_to(folder)
        if inside:
            prefix = table.root.resolve().relative_to(folder).as_posix()
            names = [f"{prefix}/{name}" if prefix != "." else name for name in table.paths]
            table = dataclasses.replace(table, paths=np.array(names, object))
        write_manifest(table, path)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise NotWritableError("--output", path.parent, error) from error
    return inside


def _counts(table: ImageTable) -> dict[str, dict[str, int]]:
    return {
        name: dict(zip(table.classes, table.split(name).counts().tolist(), strict=True))
        for name in SPLITS
    }
