import hashlib
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import as_plain_user, draw_image
from toolkit.classifier.store import ArrayStore
from toolkit.data.batches import image_batches, labelled_batches, training_batches, view_batches
from toolkit.data.decoding_problems import decoding_problems
from toolkit.data.order import steps_per_epoch
from toolkit.data.prepare import Preparation
from toolkit.data.read import make_reader
from toolkit.data.stored import labelled_rows, stored_batches
from toolkit.data.table import ImageTable
from toolkit.data.views import Views, content_numbers

COUNT = 11
PREPARATION = Preparation(12, 16)


def make_table(root: Path, names: list) -> ImageTable:
    n = len(names)
    return ImageTable(
        root=root,
        classes=[str(k) for k in range(n)],
        paths=np.array(names, object),
        labels=np.arange(n, dtype=np.int32),
        digests=np.array([hashlib.blake2b(bytes([k])).hexdigest()[:32] for k in range(n)], object),
        splits=np.array(["train"] * n, object),
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> ImageTable:
    root = tmp_path_factory.mktemp("images")
    names = [f"{k:02}.{'jpg' if k % 2 else 'png'}" for k in range(COUNT)]
    for k, name in enumerate(names):
        draw_image((20 * k, 255 - 20 * k, 99), k, (30 + k, 25)).save(root / name)
    return make_table(root, names)


@pytest.fixture(scope="module")
def prepared(table) -> np.ndarray:
    """Each image, read on its own."""
    read = make_reader(PREPARATION)
    return np.stack([read(tf.io.read_file(file)) for file in table.files()])


def together(batches) -> tuple[np.ndarray, np.ndarray]:
    firsts, seconds = zip(*(tuple(map(np.asarray, batch)) for batch in batches), strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)


def hues(images: np.ndarray) -> np.ndarray:
    """Red less green on average, which augmentation changes little."""
    colours = images.mean((1, 2))
    return colours[:, 0] - colours[:, 1]


class TestImageBatches:
    def test_all_images_come_in_order(self, table, prepared):
        batches = list(image_batches(table, PREPARATION, 4))

        assert [len(rows) for rows, _ in batches] == [4, 4, 3]
        rows, images = together(batches)
        assert rows.tolist() == list(range(COUNT))
        assert rows.dtype == np.int64
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images, prepared)

    def test_an_empty_table_gives_nothing(self, table):
        assert list(image_batches(table.rows(np.zeros(COUNT, bool)), PREPARATION, 4)) == []

    def test_damaged_ones_are_left_out_and_the_others_keep_their_numbers(self, table, tmp_path):
        damaged = _damaged(tmp_path)
        whole = [(table.root / name).read_bytes() for name in table.paths[:3]]
        for k, data in enumerate(whole):
            (tmp_path / f"whole-{k}").write_bytes(data)
        names = ["whole-0", *damaged, "whole-1", "whole-2"]
        rows, images = together(image_batches(make_table(tmp_path, names), PREPARATION, 2))

        n = len(damaged)
        assert rows.tolist() == [0, n + 1, n + 2]
        alone, _ = together(labelled_batches(table.rows(np.arange(3)), PREPARATION, 3))
        np.testing.assert_array_equal(images, alone)

    def test_names_of_any_bytes_are_read(self, table, tmp_path):
        names = [b"caf\xe9.jpg", b"a b'c\".jpg", "Möwe鸥.jpg".encode(), b"back\\slash\n.jpg"]
        for name in names:
            with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
                file.write((table.root / table.paths[1]).read_bytes())
        rows, _ = together(
            image_batches(make_table(tmp_path, [os.fsdecode(n) for n in names]), PREPARATION, 9)
        )
        assert rows.tolist() == [0, 1, 2, 3]


def _damaged(folder: Path) -> list[str]:
    """Files that each begin like an image; their names."""
    for number, extension in enumerate(["jpg", "png", "bmp", "gif", "webp"]):
        draw_image((9, 99, 199), number).save(folder / f"whole.{extension}")
        data = (folder / f"whole.{extension}").read_bytes()
        (folder / f"cut.{extension}").write_bytes(data[: len(data) * 2 // 3])
    draw_image((9, 99, 199), 9).convert("1").save(folder / "two-colours.bmp")
    draw_image((9, 99, 199), 9, (60, 60)).save(folder / "large.png")
    names = [f"cut.{extension}" for extension in ("jpg", "png", "bmp", "gif", "webp")]
    return [*names, "two-colours.bmp"]


class TestDecodingProblems:
    def test_each_has_a_reason_that_a_person_understands(self, tmp_path):
        names = [*_damaged(tmp_path), "large.png", "gone.jpg"]
        table = make_table(tmp_path, names)
        problems = decoding_problems(table, range(len(names)), Preparation(8, 8, max_pixels=3000))

        assert [p.path for p in problems] == names
        reasons = {p.path: p.reason for p in problems}
        assert reasons.pop("gone.jpg") == "No such file or directory"
        for reason in reasons.values():
            assert reason.startswith("damaged, cut short or of a rare kind (")
            assert len(reason) < 165 and "\n" not in reason
            for jargon in ("{{", "Op:", "tf.Tensor", "b'", "function_node", "Summarized"):
                assert jargon not in reason
        assert "Invalid JPEG data" in reasons["cut.jpg"]
        assert "Invalid PNG data" in reasons["cut.png"]
        assert "at most 3000 pixels; received (height, width): 60, 60" in reasons["large.png"]

    def test_only_the_asked_rows_are_looked_at(self, table):
        assert decoding_problems(table, [], PREPARATION) == []

    def test_one_that_can_be_decoded_is_a_bug_elsewhere(self, table):
        with pytest.raises(RuntimeError, match=r"01\.jpg.*can be decoded"):
            decoding_problems(table, [1], PREPARATION)

    def test_a_file_that_was_closed_meanwhile(self, shared_folder):
        draw_image((9, 9, 9), 0).save(shared_folder / "a.png")
        (shared_folder / "a.png").chmod(0)
        with as_plain_user():
            problems = decoding_problems(make_table(shared_folder, ["a.png"]), [0], PREPARATION)
        assert [p.reason for p in problems] == ["Permission denied"]


class TestLabelledBatches:
    def test_they_are_the_prepared_images_in_order_every_time(self, table, prepared):
        batches = labelled_batches(table, PREPARATION, 4)

        for _ in range(2):
            images, labels = together(batches)
            np.testing.assert_array_equal(images, prepared)
            np.testing.assert_array_equal(labels, table.labels)
            assert (images.dtype, labels.dtype) == (np.float32, np.int32)
        assert [len(labels) for _, labels in batches] == [4, 4, 3]
        assert batches.element_spec[0].shape.as_list() == [None, 12, 16, 3]


def train(table, epochs, augment="light", seed=3, batch_size=4):
    return training_batches(
        table,
        PREPARATION,
        batch_size,
        views=Views(augment, seed, 1),
        epochs=epochs,
    )


class TestTrainingBatches:
    @pytest.mark.parametrize("augment", ["none", "light"])
    def test_every_image_comes_once_an_epoch_with_its_label(self, table, prepared, augment):
        batches = [tuple(map(np.asarray, b)) for b in train(table, range(3), augment)]
        steps = steps_per_epoch(COUNT, 4)

        assert len(batches) == 3 * steps
        assert [len(labels) for _, labels in batches] == [4, 4, 3] * 3
        orders = []
        for epoch in range(3):
            images, labels = together(batches[epoch * steps : (epoch + 1) * steps])
            assert sorted(labels) == list(range(COUNT))
            if augment == "none":
                np.testing.assert_array_equal(images, prepared[labels])
            else:  # The hues of all images lie from -255 to 145.
                assert np.abs(hues(images) - hues(prepared[labels])).max() < 60
            orders.append(tuple(labels))
        assert len(set(orders)) == 3

    def test_augmentation_differs_in_each_epoch(self, table):
        images, labels = together(train(table, range(4)))

        assert images.dtype == np.float32
        assert 0 <= images.min() <= images.max() <= 255
        different = [len({i.tobytes() for i in images[labels == k]}) for k in range(COUNT)]
        assert min(different) > 1
        assert np.mean(different) > 3

    @pytest.mark.parametrize("augment", ["none", "light"])
    def test_the_same_seed_gives_the_same_however_often_it_is_iterated(self, table, augment):
        batches = train(table, range(2), augment)
        first, second = together(batches), together(batches)
        again = together(train(table, range(2), augment))

        for one, two, three in zip(first, second, again, strict=True):
            np.testing.assert_array_equal(one, two)
            np.testing.assert_array_equal(one, three)

    def test_parallelism_does_not_matter(self, table):
        found = []
        for threads in (1, 7):
            options = tf.data.Options()
            options.threading.private_threadpool_size = threads
            options.autotune.enabled = threads > 1
            found.append(together(train(table, range(2)).with_options(options)))

        for one, two in zip(*found, strict=True):
            np.testing.assert_array_equal(one, two)

    def test_another_seed_gives_another_order_and_other_images(self, table):
        (one, order), (two, other) = (together(train(table, range(1), seed=k)) for k in (0, 1))

        assert order.tolist() != other.tolist()
        same = one[np.argsort(order)] == two[np.argsort(other)]
        assert same.all((1, 2, 3)).mean() < 0.5

    @pytest.mark.parametrize("done", [1, 3])
    def test_later_epochs_are_the_tail_of_all(self, table, done):
        steps = steps_per_epoch(COUNT, 4)
        whole = itertools.islice(train(table, range(4)), done * steps, None)

        for one, two in zip(together(whole), together(train(table, range(done, 4))), strict=True):
            np.testing.assert_array_equal(one, two)

    def test_augmentation_of_an_image_does_not_depend_on_its_batch(self, table):
        found = []
        for batch_size in (4, COUNT):
            images, labels = together(train(table, range(1), batch_size=batch_size))
            found.append(images[np.argsort(labels)])

        np.testing.assert_array_equal(*found)

    def test_its_shape_is_known_to_keras(self, table):
        for augment in ("none", "light"):
            images, labels = train(table, range(1), augment).element_spec
            assert images.shape.as_list() == [None, 12, 16, 3]
            assert labels.shape.as_list() == [None]


@pytest.mark.parametrize("policy", ["none", "light"])
def test_epoch_k_sees_view_k(table, prepared, policy):
    views, steps = Views(policy, 3, 2), steps_per_epoch(COUNT, 4)
    batches = list(training_batches(table, PREPARATION, 4, views=views, epochs=range(1, 4)))
    for epoch in (1, 2, 3):
        images, labels = together(batches[(epoch - 1) * steps : epoch * steps])
        expected = views.draw(prepared[labels], content_numbers(table)[labels], epoch)
        np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("policy", ["none", "light"])
def test_all_views_of_an_image_come_one_after_another(table, prepared, policy):
    views = Views(policy, 3, 3)
    batches = list(view_batches(table, PREPARATION, 4, views, [2, 0]))

    assert [(len(rows), int(number)) for rows, number, _ in batches] == [
        (4, 2), (4, 0), (4, 2), (4, 0), (3, 2), (3, 0)
    ]  # fmt: skip
    for rows, number, images in batches:
        expected = views.draw(prepared[rows], content_numbers(table)[rows], int(number))
        np.testing.assert_array_equal(images, expected)
    rows = [row for rows, number, _ in batches if number == 0 for row in rows]
    assert rows == list(range(COUNT))


def test_views_of_damaged_images_are_left_out(tmp_path):
    names = ["whole.png", *_damaged(tmp_path), "whole.jpg"]
    batches = view_batches(
        make_table(tmp_path, names), PREPARATION, 4, Views("light", 0, 2), range(2)
    )
    assert [(rows.tolist(), int(number)) for rows, number, _ in batches] == [
        ([0, len(names) - 1], 0),
        ([0, len(names) - 1], 1),
    ]


def stored(folder: Path, table: ImageTable, values: np.ndarray, dtype: str = "float16"):
    """Rows that are kept for a table's images."""
    store = ArrayStore(folder, values.shape[1:], dtype)
    shuffled = np.random.default_rng(0).permutation(len(table))
    store.add(list(table.digests[shuffled]), values[shuffled])
    return store.rows(list(table.digests))


@pytest.fixture
def views(table, tmp_path) -> list:
    """Two views of each image, which tell view and row: (view, row) x 3."""
    numbers = [np.stack([np.full(COUNT, v), np.arange(COUNT)], 1) for v in range(2)]
    return [
        stored(tmp_path / f"{v}", table, np.repeat(number[:, None], 3, 1))
        for v, number in enumerate(numbers)
    ]


def test_stored_batches_have_the_order_and_the_labels_of_training_batches(table, views):
    epochs, steps = range(1, 6), steps_per_epoch(COUNT, 4)
    batches = list(stored_batches(views, table.labels, 4, seed=3, epochs=epochs))
    expected = list(train(table, epochs, "none", seed=3))

    assert len(batches) == len(expected) == 5 * steps
    for step, ((values, labels), (_, same)) in enumerate(zip(batches, expected, strict=True)):
        np.testing.assert_array_equal(labels, same)
        assert labels.dtype == same.dtype
        assert values.shape == (len(labels), 3, 2) and values.dtype == tf.float32
        np.testing.assert_array_equal(values[:, 2, 1], labels)  # A row's label is its number.
        view = (1 + step // steps) % 2
        assert (np.asarray(values)[:, :, 0] == view).all(), "they come again in order"


def test_augmentation_is_not_frozen_where_there_are_as_many_views_as_epochs(table, views):
    batches = stored_batches(views, table.labels, COUNT, seed=3, epochs=range(2))
    seen = [float(values[0, 0, 0]) for values, _ in batches]
    assert seen == [0, 1]


def test_later_epochs_of_stored_batches_are_the_tail_of_all(table, views):
    def batches(epochs):
        return stored_batches(views, table.labels, 4, seed=3, epochs=epochs)

    whole = itertools.islice(batches(range(5)), 3 * steps_per_epoch(COUNT, 4), None)
    for one, two in zip(together(whole), together(batches(range(3, 5))), strict=True):
        np.testing.assert_array_equal(one, two)
    first, second = together(batches(range(2))), together(batches(range(2)))
    np.testing.assert_array_equal(first[0], second[0])


def test_labelled_rows_are_in_order_every_time(table, tmp_path):
    values = np.random.default_rng(0).normal(size=(COUNT, 2, 5)).astype(np.float32)
    batches = labelled_rows(stored(tmp_path, table, values), table.labels, 4)

    for _ in range(2):
        rows, labels = together(batches)
        np.testing.assert_array_equal(rows, values.astype(np.float16).astype(np.float32))
        np.testing.assert_array_equal(labels, table.labels)
        assert (rows.dtype, labels.dtype) == (np.float32, np.int32)
    assert [len(labels) for _, labels in batches] == [4, 4, 3]


def test_stored_shapes_are_known_to_keras(table, views):
    for batches in (
        stored_batches(views, table.labels, 4, seed=0, epochs=range(1)),
        labelled_rows(views[0], table.labels, 4),
    ):
        values, labels = batches.element_spec
        assert values.shape.as_list() == [None, 3, 2] and values.dtype == tf.float32
        assert labels.shape.as_list() == [None] and labels.dtype == tf.int32


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"), [(1, 32, 1), (32, 32, 1), (33, 32, 2), (64, 32, 2)]
)
def test_steps_include_the_last_smaller_batch(images, batch_size, steps):
    assert steps_per_epoch(images, batch_size) == steps
