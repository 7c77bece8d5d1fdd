"""TensorFlow Datasets as sources: read where they lie, never exported."""

import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from toolkit.data.listing import SPLIT_NAMES, ListedFile, Listing
from toolkit.data.table import SPLITS, Problem
from toolkit.data.tfds_records import Fields, list_records
from toolkit.errors import DatasetError, MissingPackageError, UnknownNameError
from toolkit.progress import Progress, unseen

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger("toolkit")

PREFIX = "tfds:"

_REQUEST = re.compile(
    r"(?P<name>[^:]+(?::(?:\d+|\*)\.(?:\d+|\*)\.(?:\d+|\*))?)(?::(?P<splits>.+))?"
)
_SPLIT = re.compile(r"(?:(?P<role>\w+)=)?(?P<spec>(?P<base>\w+).*)")


def is_tfds(source: str) -> bool:
    """Whether a source is a TensorFlow data set, by its name."""
    return source.startswith(PREFIX)


def list_tfds(source: str, data_dir: str | None = None, progress: Progress = unseen) -> Listing:
    """Lists the images of a TensorFlow data set, which is downloaded where it is not there yet.

    Args:
        source: "tfds:NAME[/CONFIG][:VERSION][:SPLITS]". SPLITS are names with commas between,
            each with a slice if it likes, as "train[:80%],test", and for what it is used if that
            is not its name, as "train=train[:80%],val=train[80%:]". By default all that are called
            as a split may be; if there are none, all, to be split anew.
        data_dir: Where data sets lie, if not in ~/tensorflow_datasets.
        progress: Shows how far it is.

    Raises:
        MissingPackageError: tensorflow-datasets is not installed.
        UnknownNameError: There is no such data set or split.
        DatasetError: It cannot be downloaded, or has no image with a class label.
    """
    found = _REQUEST.fullmatch(source.removeprefix(PREFIX))
    if found is None:
        raise DatasetError(source, "it names no data set", "as tfds:beans or tfds:cifar10:train")
    builder = _builder(source, found["name"], data_dir)
    fields = _fields(source, builder.info.features, builder.info.supervised_keys)
    root, kind = Path(builder.data_path), builder.info.file_format.value
    files: dict[str, ListedFile] = {}
    problems: dict[str, Problem] = {}
    for role, instructions in _splits(source, builder.info.splits, found["splits"]):
        records = list_records(source, root, kind, instructions, fields)
        count = sum(part.take for part in instructions)
        for path, label in progress(records, count, "Listing records"):
            if path in files:
                raise DatasetError(source, f"its splits overlap in {path}", "give each slice once")
            if 0 <= label < len(fields.classes):
                files[path] = ListedFile(path, fields.classes[label], role)
            else:
                problems[path] = Problem(path, "without a label")
    given = {file.split for file in files.values()}
    splits = tuple(split for split in SPLITS if split in given)
    return Listing(root, list(files.values()), sorted(fields.classes), splits, [*problems.values()])


def _import_tfds() -> "ModuleType":
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise MissingPackageError("A TensorFlow data set", "'toolkit[tfds]'") from error
    return tensorflow_datasets


def _builder(source: str, name: str, data_dir: str | None) -> Any:
    tfds = _import_tfds()
    folder = None if data_dir is None else Path(data_dir).expanduser()
    try:
        builder = tfds.builder(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError as error:
        here = [] if folder is None or not folder.is_dir() else [p.name for p in folder.iterdir()]
        known = [*tfds.list_builders(with_community_datasets=False), *here]
        see = "tfds.list_builders() lists all."
        raise UnknownNameError("TensorFlow data set", name, known, see) from error
    except ValueError as error:
        raise DatasetError(source, _first_line(error)) from error
    if not builder.is_prepared():
        _prepare(source, builder, tfds)
    return builder


def _prepare(source: str, builder: Any, tfds: "ModuleType") -> None:
    mend = "prepare it where there is a network, and give its folder with --data-dir"
    hosts = {urlsplit(url).hostname for url in builder.url_infos} - {None}
    if hosts and not getproxies() and not any(map(_is_known, hosts)):
        # The library itself would try for minutes.
        problem = f"it is not on this machine, and {min(hosts)} cannot be reached"
        raise DatasetError(source, problem, mend)
    log.warning("%s is not in %s: it is downloaded.", source, builder.data_path)
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise DatasetError(source, _first_line(error), f"pip install {error.name}") from error
    except (OSError, AssertionError, ValueError, tfds.download.DownloadError) as error:
        # Of these kinds are a network that is not there, a page that has moved, a checksum that
        # does not fit, and a data set that must be fetched by hand.
        problem = f"it is not on this machine, and cannot be downloaded ({_first_line(error)})"
        raise DatasetError(source, problem, mend) from error


def _is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _fields(source: str, features: Any, supervised: Any) -> Fields:
    from tensorflow_datasets import features as kinds

    top = dict(features.items()) if isinstance(features, kinds.FeaturesDict) else {}
    images = [name for name, kind in top.items() if type(kind) is kinds.Image]
    labels = [name for name, kind in top.items() if isinstance(kind, kinds.ClassLabel)]
    for place, names in enumerate((images, labels)):
        if supervised and len(supervised) == 2 and supervised[place] in names:
            names[:] = [supervised[place]]
    if len(images) != 1 or len(labels) != 1:
        there = ", ".join(f"{name} ({type(kind).__name__})" for name, kind in top.items())
        problem = f"it has {len(images) or 'no'} images and {len(labels) or 'no'} class labels"
        raise DatasetError(source, f"{problem} an example: {there}")
    image = top[images[0]]
    if image.np_dtype != "uint8":
        raise DatasetError(source, f"its images are {image.np_dtype}, not uint8")
    return Fields(images[0], labels[0], list(top[labels[0]].names or []))


def _splits(source: str, info: Any, wanted: str | None) -> Iterator[tuple[str, list[Any]]]:
    """Of each split that is wanted, what it is used for, and which records of which files it is."""
    for text in _wanted(source, list(info), wanted):
        found = _SPLIT.fullmatch(text.strip())
        if found is None or (found["role"] and found["role"].lower() not in SPLIT_NAMES):
            roles = ", ".join(SPLIT_NAMES)
            problem = f"{text!r} is no split: NAME, NAME[SLICE] or USE=NAME, used as {roles}"
            raise DatasetError(source, problem)
        if found["base"] not in info:
            raise UnknownNameError(f"split in {source}:", found["base"], list(info))
        try:
            instructions = info[found["spec"]].file_instructions
        except (ValueError, AssertionError) as error:
            raise DatasetError(source, _first_line(error)) from error
        yield SPLIT_NAMES.get((found["role"] or found["base"]).lower(), ""), instructions


def _wanted(source: str, names: list[str], wanted: str | None) -> list[str]:
    if wanted is not None:
        return wanted.split(",")
    known = [name for name in names if name.lower() in SPLIT_NAMES]
    if known and len(known) < len(names):
        others = ", ".join(name for name in names if name not in known)
        log.warning("Of %s, %s is read; passed over: %s.", source, ", ".join(known), others)
    return known or names
