"""What `--data` takes, as lists of files with their class and split."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.data.samples import digits_folder
from toolkit.data.table import TEST, TRAIN, VALIDATION, Problem
from toolkit.errors import EmptySplitError, NoSuchSourceError, OptionError

SPLIT_FOLDERS = {
    "train": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}
SAMPLES = {"sample:digits": digits_folder}


@dataclass(frozen=True)
class Listing:
    """The files of a source, not yet opened.

    Attributes:
        root: The folder that the paths are relative to.
        files: (path, class name, split or "") of each, in a fixed order.
        classes: Names of the class folders, sorted, also of those without a file.
        splits: The splits that the source has folders for.
        problems: Files that lie outside any class folder.
        flips: Whether a left-right flip leaves an image in its class, as in most photos.
    """

    root: Path
    files: list[tuple[str, str, str]]
    classes: list[str]
    splits: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    flips: bool = True


def list_source(source: str | os.PathLike[str]) -> Listing:
    """Lists the files of a source.

    Args:
        source: A folder of class folders; a folder with `train/` and `val/` (or `valid/`,
            `validation/`, `dev/`) or `test/` inside, each with class folders; or `sample:digits`.

    Raises:
        NoSuchSourceError: There is no such folder or sample.
        EmptySplitError: There are `val/` and `test/`, and no `train/`.
        OptionError: The folder must not be read.
    """
    if str(source) in SAMPLES:
        return _list_folder(SAMPLES[str(source)](), flips=False)
    root = Path(source).expanduser()
    if not root.is_dir():
        raise NoSuchSourceError(source)
    return _list_folder(root.absolute())


def _list_folder(root: Path, flips: bool = True) -> Listing:
    folders, loose = _entries(root)
    problems = [Problem(name, "outside any class folder") for name in loose]
    if _has_splits(folders):
        return _list_splits(root, folders, problems)
    files = [file for name in folders for file in _class_files(root, name, name, "")]
    return Listing(root, files, folders, problems=problems, flips=flips)


def _list_splits(root: Path, folders: list[str], problems: list[Problem]) -> Listing:
    files: list[tuple[str, str, str]] = []
    classes, splits = set(), []
    for folder in folders:
        split = SPLIT_FOLDERS.get(folder.lower())
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
    named = [SPLIT_FOLDERS.get(name.lower()) for name in folders]
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


def _class_files(
    root: Path, folder: str, class_name: str, split: str
) -> Iterator[tuple[str, str, str]]:
    """Lists all files, and as such also folders that are not entered, so that they are reported."""
    closed: list[OSError] = []
    for parent, folders, names in os.walk(root / folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        inside = Path(parent).relative_to(root).as_posix()
        for name in sorted([*names, *links]):
            if not name.startswith("."):
                yield f"{inside}/{name}", class_name, split
    for error in closed:
        yield Path(error.filename).relative_to(root).as_posix(), class_name, split
