import io
import itertools
import os
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import as_plain_user, draw_image
from toolkit.data import scan as scan_module
from toolkit.data.scan import image_problem, scan
from toolkit.data.sources import list_source

MANY = 10**8


def quietly(items, total, description):
    return items


def _encode(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def _scan(folder: Path, max_pixels: int = MANY):
    return scan(list_source(folder), max_pixels, quietly)


def _huge_png() -> bytes:
    """20,000 x 20,000 black pixels of one bit: 50 MB of rows, 50 kB of file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    rows = zlib.compress(bytes(20_000 * 2501), 9)
    size = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)
    return header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PHOTO = _encode(draw_image((10, 200, 30), 0), "JPEG")


def test_the_table_has_a_row_for_each_readable_image(tmp_path):
    other = _encode(draw_image((200, 10, 30), 1), "PNG")
    _put(tmp_path, {"cat/a.jpg": PHOTO, "dog/b.png": other, "dog/c.jpg": PHOTO})

    table = _scan(tmp_path)

    assert table.root == tmp_path
    assert table.classes == ["cat", "dog"]
    assert table.paths.tolist() == ["cat/a.jpg", "dog/b.png", "dog/c.jpg"]
    assert table.labels.tolist() == [0, 1, 1]
    assert table.labels.dtype == np.int32
    assert table.counts().tolist() == [1, 2]
    assert table.splits.tolist() == ["", "", ""]
    assert table.problems == []


def test_digests_are_equal_exactly_where_the_content_is(tmp_path):
    changed = bytearray(PHOTO)
    changed[-3] ^= 1
    _put(tmp_path, {"cat/a.jpg": PHOTO, "cat/b.jpg": bytes(changed), "dog/other name.png": PHOTO})

    digests = _scan(tmp_path).digests

    assert digests[0] == digests[2] != digests[1]
    # BLAKE2b of 16 bytes, by Python's own library.
    import hashlib

    assert digests[0] == hashlib.blake2b(PHOTO, digest_size=16).hexdigest()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "MPO"])
def test_every_format_is_known_by_its_content(tmp_path, name):
    _put(tmp_path, {"cat/no-extension": _encode(draw_image((9, 9, 200), 3), name)})

    assert len(_scan(tmp_path)) == 1


def test_the_first_image_that_a_process_opens_may_have_any_format():
    # Pillow knows some formats only once others were asked for.
    import subprocess
    import sys

    from tests.conftest import ROOT

    code = (
        "import sys; from toolkit.data.scan import image_problem;"
        "print(image_problem(sys.stdin.buffer.read(), 10**8))"
    )
    png = _encode(draw_image((9, 9, 200), 3), "PNG")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=png, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"None"


def test_bad_files_are_named_with_their_reasons(tmp_path):
    animated = [draw_image((9, 9, k), k) for k in (0, 200)]
    _put(
        tmp_path,
        {
            "cat/good.jpg": PHOTO,
            "cat/empty.jpg": b"",
            "cat/text.jpg": b"Dear diary, today I have met a cat.\n",
            "cat/cut-in-the-header.jpg": PHOTO[:60],
            "cat/header.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00",
            "cat/tiff.jpg": _encode(animated[0], "TIFF"),
            "cat/jpeg-xl.jpg": b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(64),
            "cat/huge.png": _huge_png(),
            "cat/large.png": _encode(Image.new("1", (1100, 1000)), "PNG"),
            "cat/moving.webp": _encode(
                animated[0], "WEBP", save_all=True, append_images=animated[1:]
            ),
        },
    )
    (tmp_path / "cat" / "broken-link.jpg").symlink_to("nowhere")
    (tmp_path / "cat" / "folder-link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")

    table = _scan(tmp_path, max_pixels=10**6)

    assert table.paths.tolist() == ["cat/good.jpg"]
    assert {p.path.removeprefix("cat/"): p.reason for p in table.problems} == {
        "empty.jpg": "empty file",
        "text.jpg": "not a JPEG, PNG, BMP, GIF or WebP image",
        "cut-in-the-header.jpg": "damaged: Truncated File Read",
        "header.png": "damaged: Truncated File Read",
        "tiff.jpg": "not a JPEG, PNG, BMP, GIF or WebP image",
        "jpeg-xl.jpg": "not a JPEG, PNG, BMP, GIF or WebP image",
        "huge.png": "more pixels than --max-pixels 1,000,000",
        "large.png": "1100 x 1000 pixels, more than --max-pixels 1,000,000",
        "moving.webp": "an animated WebP image; only still ones are read",
        "broken-link.jpg": "No such file or directory",
        "folder-link": "Is a directory",
        "pipe.jpg": "a pipe or device, not a file",
    }


def test_the_limit_includes_its_own_number():
    png = _encode(Image.new("L", (30, 20)), "PNG")

    assert image_problem(png, 600) is None
    assert image_problem(png, 599) == "30 x 20 pixels, more than --max-pixels 599"


def test_a_huge_image_is_never_decoded():
    png = _huge_png()
    tracemalloc.start()
    try:
        assert image_problem(png, MANY) is not None
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_files_are_read_in_pieces(tmp_path):
    large = PHOTO + bytes(20_000_000)  # What follows the image belongs to the file's content.
    _put(tmp_path, {"cat/a.jpg": large})
    _scan(tmp_path)
    tracemalloc.start()
    try:
        assert len(_scan(tmp_path)) == 1
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_may_not_be_read_is_named(shared_folder):
    _put(shared_folder, {"cat/a.jpg": PHOTO, "cat/b.jpg": PHOTO, "cat/closed/c.jpg": PHOTO})
    (shared_folder / "cat/a.jpg").chmod(0)
    (shared_folder / "cat/closed").chmod(0)

    with as_plain_user():
        table = _scan(shared_folder)

    assert table.paths.tolist() == ["cat/b.jpg"]
    assert {p.path: p.reason for p in table.problems} == {
        "cat/a.jpg": "Permission denied",
        "cat/closed": "Permission denied",
    }


NAMES = [
    b"with space.jpg",
    b'quote\'s "double".jpg',
    "Möwe 鸥 чайка 🐦.jpg".encode(),
    b"caf\xe9-latin-1.jpg",
    b"star*[a-z]?.jpg",
    b"new\nline.jpg",
    b"%41.jpg",
    b"back\\slash.jpg",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_is_read(tmp_path, name):
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    with open(folder + b"/" + name, "wb") as file:
        file.write(PHOTO)

    table = _scan(tmp_path)

    assert table.classes == [os.fsdecode(name)]
    assert table.files() == [folder + b"/" + name]
    assert table.file(0).read_bytes() == PHOTO


def test_the_order_is_the_listings_whatever_thread_is_faster(tmp_path, monkeypatch):
    photos = [_encode(draw_image((k, 0, 0), k, (9, 9)), "PNG") for k in range(40)]
    files = {f"{'ab'[k % 2]}/{k:02}.png": photo for k, photo in enumerate(photos)}
    files["a/bad.png"] = b"no image"
    listing = list_source(_put(tmp_path, files))
    whole = scan(listing, MANY, quietly)
    turn, slow = itertools.count(), scan_module.digest
    passed = threading.Event()

    def digest(file):
        if next(turn) == 0:
            passed.wait(10)  # The first is done after a later one.
        else:
            passed.set()
        return slow(file)

    monkeypatch.setattr(scan_module, "CHUNK", 7)
    monkeypatch.setattr(scan_module, "FILES_AT_ONCE", 2)
    monkeypatch.setattr(scan_module, "digest", digest)
    chunked = scan(listing, MANY, quietly)

    assert passed.is_set()
    assert [f.path for f in listing.files if f.path != "a/bad.png"] == whole.paths.tolist()
    for column in ("paths", "labels", "digests", "splits"):
        np.testing.assert_array_equal(getattr(whole, column), getattr(chunked, column))
    assert whole.problems == chunked.problems


def test_a_large_file_gives_what_a_small_one_does(tmp_path, monkeypatch):
    tags = Image.Exif()
    tags[0x0112] = 6
    photo = draw_image((200, 10, 30), 1, (30, 40))
    turned = _encode(photo, "JPEG", exif=tags)
    _put(
        tmp_path, {"a/1.jpg": turned, "a/2.jpg": turned + b"more", "b/3.png": _encode(photo, "PNG")}
    )
    held = _scan(tmp_path)
    monkeypatch.setattr(scan_module, "HELD_BYTES", 0)
    large = _scan(tmp_path)

    assert held.headers.tolist() == [
        (40, 30, 6, 0, False),
        (40, 30, 6, 0, True),
        (40, 30, 1, 1, False),
    ]
    np.testing.assert_array_equal(large.headers, held.headers)
    np.testing.assert_array_equal(large.digests, held.digests)


def test_progress_counts_every_file(tmp_path):
    _put(tmp_path, {"a/1.jpg": PHOTO, "a/2.jpg": b"", "a/3.jpg": PHOTO})
    seen = []

    def progress(items, total, description):
        for number, item in enumerate(items, 1):
            seen.append((number, total, description))
            yield item

    scan(list_source(tmp_path), MANY, progress)

    assert seen == [(k, 3, "Reading images") for k in (1, 2, 3)]


def test_problems_of_the_listing_stay(tmp_path):
    _put(tmp_path, {"loose.jpg": PHOTO, "a/1.jpg": b"", "a/2.jpg": PHOTO})

    assert [p.path for p in _scan(tmp_path).problems] == ["loose.jpg", "a/1.jpg"]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_no_damage_to_a_file_raises(name):
    whole = _encode(draw_image((90, 20, 130), 5), name)
    random = np.random.default_rng(0)
    found = set()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        for round_number in range(150):
            damaged = bytearray(whole)
            for place in random.integers(0, min(len(whole), 120), 1 + round_number % 5):
                damaged[place] = random.integers(256)
            if round_number % 3 == 0:
                del damaged[random.integers(len(damaged)) :]
            found.add(image_problem(bytes(damaged), MANY))
    assert None in found and len(found) > 2
    assert all(problem is None or problem for problem in found)
