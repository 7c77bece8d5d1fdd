import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.conftest import draw_image
from toolkit.data.batches import image_batches
from toolkit.data.plain import GROWS, OTHER, SHRINKS, plain_windows
from toolkit.data.prepare import CENTER, PAD, SQUASH, Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source

SIZES = [(40, 40), (41, 40), (64, 33), (97, 130), (31, 60), (16, 16), (300, 200), (20, 9)]
"""(width, height): larger than wanted in many ways; the last but one is shrunk while decoded."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Plain JPEGs, and of each kind that is none: turned, cut short, PNG."""
    folder = tmp_path_factory.mktemp("plain")
    for name in ("a", "b"):
        (folder / name).mkdir()
        for k, size in enumerate(SIZES):
            draw_image((200, 90, 30), k, size).save(folder / name / f"{k}.jpg", quality=80 + k)
    tags = Image.Exif()
    tags[0x0112] = 6
    draw_image((9, 99, 199), 50, (50, 40)).save(folder / "a/turned.jpg", exif=tags)
    draw_image((9, 99, 199), 51, (50, 40)).save(folder / "a/picture.png")
    draw_image((9, 99, 199), 52, (50, 40)).convert("L").save(folder / "a/grey.jpg")
    draw_image((9, 99, 199), 53, (50, 40)).convert("CMYK").save(folder / "b/cmyk.jpg")
    draw_image((9, 99, 199), 54, (50, 40)).save(folder / "b/slow.jpg", progressive=True)
    whole = (folder / "a/0.jpg").read_bytes()
    (folder / "b/cut.jpg").write_bytes(whole[:-40])
    (folder / "b/more behind.jpg").write_bytes(whole + b"more")
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return scan(list_source(folder), 10**8, lambda items, *_: items)


@pytest.fixture(autouse=True)
def each_kind_has_its_reader(monkeypatch):
    """However few there are, or nothing would be compared."""
    monkeypatch.setattr("toolkit.data.batches.FEWEST_PLAIN", 0)


def by_row(table, preparation):
    batches = image_batches(table, preparation, 4)
    return {row: image for rows, images in batches for row, image in zip(rows, images, strict=True)}


def test_a_scan_tells_which_jpegs_are_plain(table):
    shapes = dict(zip(table.paths, table.plain_shapes.tolist(), strict=True))
    assert shapes["a/3.jpg"] == [130, 97]
    assert shapes["a/grey.jpg"] == shapes["b/cmyk.jpg"] == shapes["b/slow.jpg"] == [40, 50]
    for other in ("a/turned.jpg", "a/picture.png", "b/cut.jpg", "b/more behind.jpg"):
        assert shapes[other] == [0, 0]


@pytest.mark.parametrize("crop", [CENTER, SQUASH])
@pytest.mark.parametrize("size", [(16, 16), (12, 20), (20, 12), (33, 33)])
def test_a_plain_jpeg_gives_the_same_pixels_as_any_other(table, size, crop):
    preparation = Preparation(*size, crop=crop)
    fast = by_row(table, preparation)
    slow = by_row(dataclasses.replace(table, headers=None), preparation)
    assert (plain_windows(table.plain_shapes, preparation)[0] != OTHER).sum() >= 8
    assert fast.keys() == slow.keys()
    for row, image in fast.items():
        np.testing.assert_array_equal(image, slow[row], err_msg=table.paths[row])


def test_few_of_a_kind_are_read_as_any_file(table, monkeypatch):
    def none(preparation, kind):
        raise AssertionError("to build a reader takes longer than it saves")

    monkeypatch.setattr("toolkit.data.batches.FEWEST_PLAIN", len(table) + 1)
    monkeypatch.setattr("toolkit.data.batches.make_plain_reader", none)
    assert len(by_row(table, Preparation(16, 16))) > len(table) - 2


def test_what_is_shrunk_while_decoded_or_padded_is_read_in_the_usual_way(table):
    kinds, windows = plain_windows(table.plain_shapes, Preparation(16, 16))
    named = dict(zip(table.paths, kinds, strict=True))
    assert named["a/0.jpg"] == named["a/5.jpg"] == SHRINKS
    assert named["a/7.jpg"] == GROWS, "9 pixels high"
    assert named["a/6.jpg"] == OTHER, "12 times as large as wanted"
    assert named["a/turned.jpg"] == named["a/picture.png"] == named["b/cut.jpg"] == OTHER
    assert windows.shape == (len(table), 2, 4)
    padded = plain_windows(table.plain_shapes, Preparation(16, 16, crop=PAD))[0]
    assert set(padded) == {OTHER}
    thin = np.array([[1, 400], [400, 1]])
    assert set(plain_windows(thin, Preparation(8, 24))[0]) <= {OTHER, GROWS}


def test_a_plain_jpeg_that_is_damaged_inside_is_left_out(folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        whole = (folder / name / "3.jpg").read_bytes()
        (tmp_path / name / "whole.jpg").write_bytes(whole)
    (tmp_path / "b/damaged.jpg").write_bytes(whole[: len(whole) // 3] + b"\xff\xd9")
    table = scan(list_source(tmp_path), 10**8, lambda items, *_: items)
    slow = by_row(dataclasses.replace(table, headers=None), Preparation(16, 16))
    assert by_row(table, Preparation(16, 16)).keys() == slow.keys()
