"""The orientation out of a JPEG's EXIF segment, as `scan` reads it: without TensorFlow.

`toolkit.data.exif` reads it in a graph, by the same steps: what one says, the other says.
"""

import io

import numpy as np

NAME = b"Exif\0\0"

HEAD_BYTES = 1 << 17
"""Within these EXIF begins; other segments may come before it."""

SEGMENT_BYTES = 1 << 16
BEFORE_NAME = 4
"""Bytes of a segment's marker and length."""

MARKER = 0xFFE1
LITTLE_ENDIAN = int.from_bytes(b"II")
TAG = 0x0112
ENTRIES = np.arange(512, dtype=np.int32)
"""Which of a directory's entries are looked at; cameras write about ten."""

PLACES = np.stack([0 * ENTRIES, 1 + 6 * ENTRIES, 5 + 6 * ENTRIES])
"""Words from a directory's start to the count, and each entry's tag and value.

All in a segment lies in words of two bytes: 0 marker, 1 length, 2 to 4 name, 5 byte order, 6 the
number 42, 7 and 8 the bytes from word 5 to the directory (of which the higher word is 0, as a
segment is no longer than 64 kB). The directory: a count, and entries of six words, tag, kind, count
(two), value (two). See "Exif Version 2.32" (CIPA DC-008), 4.5 and 4.6.4.
"""


def read_orientation(file: io.BufferedReader | io.BytesIO) -> int:
    """Orientation, 1 to 8, out of an open JPEG's EXIF segment; 1 where there is none."""
    file.seek(0)
    start = file.read(HEAD_BYTES).find(NAME)
    if start < BEFORE_NAME:
        return 1
    file.seek(start - BEFORE_NAME)
    segment = file.read(SEGMENT_BYTES).ljust(SEGMENT_BYTES, b"\0")
    big = np.frombuffer(segment, ">u2")
    words = (np.frombuffer(segment, "<u2") if big[5] == LITTLE_ENDIAN else big).astype(np.int32)
    places = 5 + (words[7] + words[8]) // 2 + PLACES
    counts, tags, values = words[np.minimum(places, len(words) - 1)]
    valid = (tags == TAG) & (counts > ENTRIES) & (values <= 8) & (big[0] == MARKER)
    return max(int(values[valid].max(initial=1)), 1)
