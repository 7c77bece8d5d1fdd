"""Images that lie inside larger files: a path may name a part of one.

`FILE.tfrecord-...@START+LENGTH` names so many bytes of a file from a place on, and
`FILE.array_record-...@NUMBER:FEATURE` a feature of a record. Such paths go wherever paths go: into
tables, manifests and a bundle's records.
"""

import functools
import io
import os
import re
import stat
from typing import Any

_RANGE = re.compile(r"(.+\.tfrecord[^/@]*)@(\d+)\+(\d+)", re.DOTALL)
_RECORD = re.compile(r"(.+\.array_record[^/@]*)@(\d+):([^/]+)", re.DOTALL)


def name_range(file: str, start: int, length: int) -> str:
    """The path of some bytes of a file."""
    return f"{file}@{start}+{length}"


def name_record(file: str, number: int, feature: str) -> str:
    """The path of a feature of a record of an array_record file."""
    return f"{file}@{number}:{feature}"


def is_part(path: str) -> bool:
    """Whether a path names a part of a file."""
    return bool(_RANGE.fullmatch(path) or _RECORD.fullmatch(path))


def open_image(path: str | os.PathLike[str]) -> io.BufferedReader | io.BytesIO:
    """Opens a file, or the part of one.

    Raises:
        OSError: It cannot be opened; `SpecialFileError` for a pipe or device, which may never end.
    """
    name = os.fspath(path)
    if found := _RANGE.fullmatch(name):
        with _open(found[1]) as file:
            file.seek(int(found[2]))
            return io.BytesIO(file.read(int(found[3])))
    if found := _RECORD.fullmatch(name):
        return io.BytesIO(_read_record(found[1], int(found[2]), found[3]))
    return _open(name)


def read_image(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, or of the part of one."""
    with open_image(path) as file:
        return file.read()


class SpecialFileError(OSError):
    """A pipe or device, not a file."""


def _open(name: str) -> io.BufferedReader:
    mode = os.stat(name).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SpecialFileError("a pipe or device, not a file")
    return open(name, "rb")


def _read_record(file: str, number: int, feature: str) -> bytes:
    from tensorflow.core.example.example_pb2 import Example

    reader = _open_records(file, os.stat(file).st_mtime_ns)
    [record] = reader.read([number])
    return Example.FromString(record).features.feature[feature].bytes_list.value[0]


@functools.lru_cache(maxsize=64)
def _open_records(file: str, changed: int) -> Any:
    from array_record.python.array_record_module import ArrayRecordReader

    return ArrayRecordReader(file)
