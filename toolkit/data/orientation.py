"""The orientation out of a JPEG's EXIF segment, as `scan` reads it: without TensorFlow.

`toolkit.data.exif` reads it in a graph, by the same steps: what one says, the other says.
"""

import io

import numpy as np

NAME = b"Exif\0\0"
BEFORE_NAME = 4
"""Bytes of a segment's marker and length."""

MARKER = b"\xff\xe1"
LITTLE_ENDIAN = b"II"
TAG = 0x0112

ENTRIES = 512
"""How many of a directory's entries are looked at; cameras write about ten."""

HEAD_BYTES = 1 << 17
"""Within these EXIF begins; other segments may come before it."""

SEGMENT_BYTES = 1 << 16

_SCAN = b"\xda"
"""The second byte of the marker before an image's own data."""


def read_orientation(file: io.BufferedReader | io.BytesIO) -> int:
    """Orientation, 1 to 8, out of an open JPEG's EXIF segment; 1 where there is none.

    See "Exif Version 2.32" (CIPA DC-008), 4.5 and 4.6.4.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    start = head.find(NAME, 0, _header_end(head))
    if start < BEFORE_NAME:
        return 1
    file.seek(start - BEFORE_NAME)
    segment = file.read(SEGMENT_BYTES)
    return _find_value(segment) if segment.startswith(MARKER) else 1


def _header_end(head: bytes) -> int:
    """Where a JPEG's own data begins: in it, the name cannot come behind a marker."""
    at = 2
    while head[at : at + 1] == b"\xff":
        if head[at + 1 : at + 2] == _SCAN:
            return at
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return len(head)


def _find_value(segment: bytes) -> int:
    """The orientation in a segment's directory, 1 if it has none.

    All lies in words of two bytes: 0 marker, 1 length, 2 to 4 name, 5 byte order, 6 the number 42,
    7 and 8 the bytes from word 5 to the directory (of which the higher word is 0, as a segment is
    no longer than 64 kB). The directory: a count, and entries of six words, tag, kind, count (two),
    value (two).
    """
    order = "<" if segment[10:12] == LITTLE_ENDIAN else ">"
    words = np.frombuffer(segment + b"\0" * (len(segment) % 2), f"{order}u2")
    count, entries = _directory(words)
    tags, values = entries[:count, 0], entries[:count, 4]
    return max([1, *values[(tags == TAG) & (values <= 8)].tolist()])


def _directory(words: np.ndarray) -> tuple[int, np.ndarray]:
    """The count of entries that it tells, and those that there are: [N, 6]."""
    start = 5 + int(words[7:9].astype(np.int64).sum()) // 2
    entries = words[start + 1 :][: 6 * ENTRIES]
    count = int(words[start]) if start < len(words) else 0
    return count, entries[: len(entries) // 6 * 6].reshape(-1, 6)
