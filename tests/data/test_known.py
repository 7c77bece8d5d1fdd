"""What a scan has seen of all files makes their graph smaller, and no pixel different."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.conftest import draw_image
from tests.data.encoded import jpeg_with, segment
from toolkit.data import batches
from toolkit.data.header import NOTHING, Known
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source

PREPARATION = Preparation(16, 24)


@pytest.fixture
def folder(tmp_path):
    """Two classes of two upright JPEGs each."""
    for k, name in enumerate("aabb"):
        (tmp_path / name).mkdir(exist_ok=True)
        draw_image((200, 90, 30 * k), k, (40 + k, 50)).save(tmp_path / name / f"{k}.jpg")
    return tmp_path


def add_turned(folder):
    tags = Image.Exif()
    tags[0x0112] = 6
    draw_image((9, 99, 199), 50, (50, 40)).save(folder / "a/turned.jpg", exif=tags)


def add_unclear(folder):
    (folder / "a/unclear.jpg").write_bytes(jpeg_with(segment(0xE1, b"Exif\0\0II*\0\xff")))


def add_png(folder):
    draw_image((9, 99, 199), 51, (50, 40)).save(folder / "b/picture.png")


@pytest.mark.parametrize(
    ("add", "known"),
    [
        (lambda folder: None, Known(jpeg=True, upright=True)),
        (add_turned, Known(jpeg=True)),
        (add_unclear, Known(jpeg=True)),
        (add_png, Known(upright=True)),
    ],
)
def test_the_graph_is_made_for_what_there_is(folder, monkeypatch, add, known):
    add(folder)
    table = scan(list_source(folder), 10**6, lambda items, *_: items)
    asked, make = [], batches.make_reader
    monkeypatch.setattr(batches, "make_reader", lambda *of: asked.append(of[1]) or make(*of))
    [(rows, images)] = batches.image_batches(table, PREPARATION, 9)
    [(_, expected)] = batches.image_batches(
        dataclasses.replace(table, headers=None), PREPARATION, 9
    )
    assert asked == [known, NOTHING]
    assert rows.tolist() == list(range(len(table)))
    np.testing.assert_array_equal(images, expected)
