"""Where the images of a TensorFlow data set's files lie, and their labels."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.data.parts import name_range, name_record
from toolkit.errors import DatasetError

_HEADER, _FOOTER = 12, 4
"""Bytes around each record of a TFRecord file: its length and check sums."""

_BATCH = 64


@dataclass(frozen=True)
class Fields:
    """Where an example has its image and its label, and the labels' names."""

    image: str
    label: str
    classes: list[str]


def list_records(
    source: str, root: Path, kind: str, instructions: Sequence[Any], fields: Fields
) -> Iterator[tuple[str, int]]:
    """Lists the examples of a split.

    Args:
        source: What errors call the data set.
        root: The data set's folder.
        kind: How its files are written.
        instructions: Which records of which files the split is made of, as tfds tells it.
        fields: Of an example.

    Yields:
        The image's path relative to the root (see `toolkit.data.parts`), and its label's number.
    """
    if kind not in _READERS:
        problem = f"it is stored as {kind}; {' and '.join(_READERS)} can be read"
        raise DatasetError(source, problem, "prepare it again with file_format='tfrecord'")
    for part in instructions:
        file = Path(part.filename)
        with _damage_named(source, file):
            name = file.relative_to(root).as_posix()
            yield from _READERS[kind](file, name, part.skip, part.skip + part.take, fields)


@contextlib.contextmanager
def _damage_named(source: str, file: Path) -> Iterator[None]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        yield
    except (OSError, LookupError, DecodeError, tf.errors.OpError) as error:
        problem = f"{file} cannot be read ({str(error).splitlines()[0]})"
        raise DatasetError(source, problem, "prepare it again") from error


def _tfrecords(
    file: Path, name: str, start: int, stop: int, fields: Fields
) -> Iterator[tuple[str, int]]:
    import tensorflow as tf

    place = 0
    # In batches: each item of a data set costs as much as the parsing of a record.
    batches = tf.data.TFRecordDataset(str(file)).take(stop).batch(_BATCH).as_numpy_iterator()
    for number, record in enumerate(itertools.chain.from_iterable(batches)):
        if number >= start:
            image, label = _parse(record, fields)
            yield name_range(name, place + _HEADER + record.index(image), len(image)), label
        place += _HEADER + len(record) + _FOOTER


def _array_records(
    file: Path, name: str, start: int, stop: int, fields: Fields
) -> Iterator[tuple[str, int]]:
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(file))
    for number in range(start, stop):
        [record] = reader.read([number])
        yield name_record(name, number, fields.image), _parse(record, fields)[1]


_READERS: dict[str, Callable[[Path, str, int, int, Fields], Iterator[tuple[str, int]]]] = {
    "tfrecord": _tfrecords,
    "array_record": _array_records,
}


def _parse(record: bytes, fields: Fields) -> tuple[bytes, int]:
    """The encoded image and the label's number."""
    from tensorflow.core.example.example_pb2 import Example

    values = Example.FromString(record).features.feature
    return values[fields.image].bytes_list.value[0], values[fields.label].int64_list.value[0]
