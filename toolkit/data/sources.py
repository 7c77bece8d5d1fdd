"""What `--data` takes, as lists of files with their class, split and group."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from toolkit.data.groups import group_by_path
from toolkit.data.listing import SPLIT_NAMES, ListedFile, Listing
from toolkit.data.manifest import GROUP, columns_of, is_manifest, list_manifest, parse_columns
from toolkit.data.samples import digits_folder
from toolkit.data.table import TRAIN, Problem
from toolkit.errors import EmptySplitError, NoSuchSourceError, OptionError

SAMPLES = {"sample:digits": digits_folder}


def list_source(
    source: str | os.PathLike[str],
    columns: Mapping[str, str] | str | None = None,
    root: str | os.PathLike[str] | None = None,
    group_by: str | None = None,
) -> Listing:
    """Lists the files of a source.

    Args:
        source: A folder of class folders; a folder with `train/` and `val/` (or `valid/`,
            `validation/`, `dev/`) or `test/` inside, each with class folders; a manifest (see
            `toolkit.data.manifest`); or `sample:digits`.
        columns: Names of a manifest's columns, where they are other than path, label, split and
            group, as {"label": "species"} or "label=species".
        root: The folder that a manifest's paths are relative to, if it is not its own.
        group_by: A manifest's column, or a regular expression on the paths, that names each
            image's group (see `group_by_path`).

    Raises:
        NoSuchSourceError: There is no such folder, manifest or sample.
        ManifestError: The manifest cannot be used.
        EmptySplitError: There are `val/` and `test/`, and no `train/`.
        OptionError: The folder must not be read.
    """
    columns = parse_columns(columns) if isinstance(columns, str) else dict(columns or {})
    path = Path(source).expanduser()
    if is_manifest(source) and not path.is_dir():
        if not path.exists():
            raise NoSuchSourceError(source, is_file=True)
        if group_by is not None and group_by in columns_of(path):
            columns, group_by = {**columns, GROUP: group_by}, None
        listing = list_manifest(path, columns, None if root is None else Path(root))
    elif columns or root is not None:
        raise OptionError("--columns and --root", "given with a manifest alone", os.fspath(source))
    else:
        listing = _list_folders(source)
    return listing if group_by is None else group_by_path(listing, group_by)


def _list_folders(source: str | os.PathLike[str]) -> Listing:
    if str(source) in SAMPLES:
        return _list_folder(SAMPLES[str(source)](), flips=False)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise NoSuchSourceError(source)
    return _list_folder(folder.absolute())


def _list_folder(root: Path, flips: bool = True) -> Listing:
    folders, loose = _entries(root)
    problems = [Problem(name, "outside any class folder") for name in loose]
    if _has_splits(folders):
        return _list_splits(root, folders, problems)
    files = [file for name in folders for file in _class_files(root, name, name, "")]
    return Listing(root, files, folders, problems=problems, flips=flips)


def _list_splits(root: Path, folders: list[str], problems: list[Problem]) -> Listing:
    files: list[ListedFile] = []
    classes, splits = set(), []
    for folder in folders:
        split = SPLIT_NAMES.get(folder.lower())
        if split is None:
            problems.append(Problem(folder, "beside the split folders, and none of them"))
            continue
        names, loose = _entries(root / folder)
        problems += [Problem(f"{folder}/{name}", "outside any class folder") for name in loose]
        splits.append(split)
        classes.update(names)
        for name in names:
            files += _class_files(root, f"{folder}/{name}", name, split)
    return Listing(root, files, sorted(classes), tuple(splits), problems)


def _has_splits(folders: list[str]) -> bool:
    named = [SPLIT_NAMES.get(name.lower()) for name in folders]
    splits = set(named) - {None}
    if len(splits) > 1 and None not in named and TRAIN not in splits:
        raise EmptySplitError(TRAIN)
    return TRAIN in splits and (len(splits) > 1 or len(folders) == 1)


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in a folder, sorted, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except PermissionError as error:
        raise OptionError("--data", "a folder that you may read", str(folder)) from error
    visible.sort(key=lambda entry: entry.name)
    folders = [entry.name for entry in visible if entry.is_dir()]
    return folders, [entry.name for entry in visible if not entry.is_dir()]


def _class_files(root: Path, folder: str, class_name: str, split: str) -> Iterator[ListedFile]:
    """Lists all files, and as such also folders that are not entered, so that they are reported."""
    closed: list[OSError] = []
    for parent, folders, names in os.walk(root / folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        inside = Path(parent).relative_to(root).as_posix()
        for name in sorted([*names, *links]):
            if not name.startswith("."):
                yield ListedFile(f"{inside}/{name}", class_name, split)
    for error in closed:
        path = Path(error.filename).relative_to(root).as_posix()
        yield ListedFile(path, class_name, split)
