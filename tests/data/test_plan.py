"""How images are read is decided by what a scan has seen; that makes no pixel different."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import draw_image
from tests.data.encoded import FILES, PHOTO, encode, exif, jpeg_with, segment
from toolkit.data.batches import image_batches, labelled_batches, training_batches, view_batches
from toolkit.data.plan import can_be_planned
from toolkit.data.prepare import CROPS, Preparation
from toolkit.data.read import make_planned_reader, make_reader
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.table import ImageTable
from toolkit.data.views import Views

PREPARATION = Preparation(16, 24)


def jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encode(PHOTO.resize((width, height), Image.Resampling.BICUBIC), "JPEG", exif=tags)


def table_of(folder, files: dict[str, bytes]) -> ImageTable:
    """What `scan` makes of these files, of one class."""
    (folder / "class").mkdir()
    for name, data in files.items():
        (folder / "class" / name).write_bytes(data)
    return scan(list_source(folder), 10**6, lambda items, *_: items)


def unknown(table: ImageTable) -> ImageTable:
    return dataclasses.replace(table, headers=None)


def by_row(batches) -> dict[int, np.ndarray]:
    found = [
        (row, image) for rows, images in batches for row, image in zip(rows, images, strict=True)
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> ImageTable:
    """Every format, every turn, and JPEGs that are shrunk by 1, 2, 4 and 8, or enlarged."""
    files = {f"format-{k}": data for k, data in enumerate(FILES.values())}
    files |= {f"turned-{k}": jpeg(67, 45, k) for k in range(1, 9)}
    files |= {f"of-{side}": jpeg(side, side + 13, 1 + side % 8) for side in (9, 97, 195, 411, 800)}
    files |= {f"more-{k}": jpeg(60, 131, k) + b"more" for k in (1, 6)}
    files["jfif"] = jpeg_with(segment(0xE1, exif(6, "MM")), jfif=True)
    return table_of(tmp_path_factory.mktemp("mixed"), files)


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("size", [(16, 16), (16, 24), (50, 41)])
def test_planned_images_are_what_each_is_alone(mixed, size, crop):
    preparation = Preparation(*size, crop=crop)
    expected = by_row(image_batches(unknown(mixed), preparation, 5))
    found = by_row(image_batches(mixed, preparation, 5))

    assert can_be_planned(mixed.headers, preparation).sum() > 25
    assert found.keys() == expected.keys() == set(range(len(mixed)))
    for row, image in found.items():
        np.testing.assert_array_equal(image, expected[row], err_msg=mixed.paths[row])


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("crop", CROPS)
def test_images_of_one_kind_are_too(tmp_path, orientation, crop):
    preparation = Preparation(24, 18, crop=crop)
    table = table_of(tmp_path, {f"{k}.jpg": jpeg(60, 50, orientation) for k in range(3)})

    assert can_be_planned(table.headers, preparation).all()
    [(rows, images)] = image_batches(table, preparation, 9)
    [(_, expected)] = image_batches(unknown(table), preparation, 9)
    assert rows.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(images, expected)


def operations(table: ImageTable) -> set[str]:
    """Of the graph that reads a table's images."""
    read = tf.function(make_planned_reader(table.headers, PREPARATION), autograph=False)
    made = read.get_concrete_function(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64))
    graph = made.graph.as_graph_def()
    nodes = [node for function in graph.library.function for node in function.node_def]
    return {node.op for node in [*graph.node, *nodes]}


def test_what_not_one_image_needs_is_not_in_the_graph(tmp_path, mixed):
    alike = table_of(tmp_path, {f"{k}.jpg": jpeg(60 + k, 50) for k in range(3)})
    some = mixed.rows(can_be_planned(mixed.headers, PREPARATION))

    not_needed = {"StatelessCase", "Case", "StatelessIf", "If", "Transpose", "ExtractJpegShape"}
    assert not operations(alike) & not_needed
    assert {"Transpose", "StatelessCase", "StatelessIf"} <= operations(some)


def test_what_headers_do_not_tell_is_not_planned(tmp_path):
    files = {
        "a.jpg": FILES["jpeg"],
        "b.png": FILES["png"],
        "c.webp": FILES["webp"],
        "d.jpg": jpeg(60, 50, 6),
        "e.bmp": FILES["bmp, palette"],  # It may be one with a palette.
        "f.gif": FILES["gif"],  # Its frame may be smaller than it is.
        "g.jpg": jpeg(200, 100),  # Too large.
    }
    headers = table_of(tmp_path, files).headers
    planned = can_be_planned(headers, Preparation(16, 16, max_pixels=200 * 100 - 1))
    assert planned.tolist() == [True] * 4 + [False] * 3


def damaged_inside(data: bytes) -> bytes:
    """A JPEG that begins and ends like a whole one, with a senseless Huffman table."""
    place = data.index(b"\xff\xc4") + 4
    return data[:place] + b"\xff" * 9 + data[place + 9 :]


@pytest.mark.parametrize("size", [(40, 200), (200, 40)])
def test_a_damaged_image_is_left_out_and_no_other(tmp_path, size):
    whole = jpeg(*size)
    files = {f"{k}.jpg": jpeg(60 + k, 50) for k in range(7)}
    files["2.jpg"] = whole[: len(whole) * 2 // 3]  # What it lacks may lie outside of its part.
    files["5.jpg"] = damaged_inside(whole)
    table = table_of(tmp_path, files)
    read = list(image_batches(table, PREPARATION, 2))

    assert [rows.tolist() for rows, _ in read] == [[0, 1], [3, 4], [6]]
    expected = by_row(image_batches(unknown(table), PREPARATION, 2))
    for row, image in by_row(read).items():
        np.testing.assert_array_equal(image, expected[row])


def test_what_shares_a_batch_with_a_damaged_image_follows_at_the_end(tmp_path):
    files = {f"{k}.jpg": jpeg(60 + k, 50) for k in range(7)}
    files["1.jpg"] = damaged_inside(files["1.jpg"])
    read = image_batches(table_of(tmp_path, files), PREPARATION, 3)
    assert [rows.tolist() for rows, _ in read] == [[3, 4, 5], [6], [0, 2]]


def test_views_are_drawn_of_all_that_are_not_damaged(tmp_path):
    files = {f"{k}.jpg": jpeg(60 + k, 50) for k in range(5)}
    files["3.jpg"] = damaged_inside(files["3.jpg"])
    table = table_of(tmp_path, files)
    batches = view_batches(table, PREPARATION, 2, Views("light", 0, 2), [0, 1])
    drawn = [(int(row), int(number)) for rows, number, _ in batches for row in rows]
    assert sorted(drawn) == [(row, number) for row in (0, 1, 2, 4) for number in (0, 1)]


def test_a_file_that_has_changed_since_is_read_as_it_is(tmp_path):
    table = table_of(tmp_path, {f"{k}.jpg": jpeg(160, 150) for k in range(4)})
    draw_image((9, 99, 199), 1, (30, 20)).save(tmp_path / "class/1.jpg")
    os.remove(tmp_path / "class/2.jpg")
    found = by_row(image_batches(table, PREPARATION, 4))

    assert found.keys() == {0, 1, 3}
    data = (tmp_path / "class/1.jpg").read_bytes()
    np.testing.assert_array_equal(found[1], make_reader(PREPARATION)(tf.constant(data)))


def test_training_and_measuring_see_the_same_images(mixed):
    table = mixed.rows(can_be_planned(mixed.headers, PREPARATION))
    views = Views("none", 3, 1)
    for batches in (
        lambda some: labelled_batches(some, PREPARATION, 7),
        lambda some: training_batches(some, PREPARATION, 7, views=views, epochs=range(2)),
    ):
        for found, expected in zip(batches(table), batches(unknown(table)), strict=True):
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])
