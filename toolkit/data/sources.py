"""What `--data` takes, as lists of files with their class, split and group."""

import os
from collections.abc import Iterator
from pathlib import Path

from toolkit.data.groups import group_by_path
from toolkit.data.listing import SPLIT_NAMES, ListedFile, Listing
from toolkit.data.manifest import GROUP, columns_of, is_manifest, leave_out, list_manifest
from toolkit.data.samples import digits_folder
from toolkit.data.source import Source, as_source
from toolkit.data.table import TRAIN, Problem
from toolkit.data.tfds import is_tfds, list_tfds
from toolkit.errors import EmptySplitError, NoSuchSourceError, OptionError
from toolkit.progress import Progress, unseen

SAMPLES = {"sample:digits": digits_folder}


def list_source(data: str | os.PathLike[str] | Source, progress: Progress = unseen) -> Listing:
    """Lists the images of a source.

    Args:
        data: The source.
        progress: Shows how far it is with what takes long: the records of a TensorFlow data set.

    Raises:
        NoSuchSourceError: There is no such folder, manifest or sample.
        ManifestError: The manifest, or the table of what is left out, cannot be used.
        DatasetError: The TensorFlow data set cannot be used.
        EmptySplitError: There are `val/` and `test/`, and no `train/`.
        OptionError: The folder must not be read, or an option does not fit this source.
    """
    source = as_source(data)
    listing, group_by = _list(source, progress)
    if source.exclude is not None:
        listing = leave_out(listing, Path(source.exclude).expanduser())
    return listing if group_by is None else group_by_path(listing, group_by)


def _list(source: Source, progress: Progress) -> tuple[Listing, str | None]:
    """The listing, and what still is to group it."""
    path, group_by = Path(source.location).expanduser(), source.group_by
    from_manifest = is_manifest(path) and not path.is_dir()
    _check_options(source, from_manifest)
    if is_tfds(source.location):
        return list_tfds(source.location, source.data_dir, progress), group_by
    if not from_manifest:
        return _list_folders(source.location), group_by
    if not path.exists():
        raise NoSuchSourceError(source.location, is_file=True)
    columns = source.columns
    if group_by is not None and group_by in columns_of(path):
        columns, group_by = {**columns, GROUP: group_by}, None
    return list_manifest(
        path, columns, None if source.root is None else Path(source.root)
    ), group_by


def _check_options(source: Source, from_manifest: bool) -> None:
    if (source.columns or source.root is not None) and not from_manifest:
        raise OptionError("--columns and --root", "given with a manifest alone", source.location)
    if source.data_dir is not None and not is_tfds(source.location):
        raise OptionError("--data-dir", "given with tfds:NAME alone", source.location)


def _list_folders(source: str) -> Listing:
    if source in SAMPLES:
        return _list_folder(SAMPLES[source](), flips=False)
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
