import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import as_plain_user, draw_image
from toolkit.data.augment import make_augmenter
from toolkit.data.batches import (
    decoding_problems,
    image_batches,
    labelled_batches,
    steps_per_epoch,
    training_batches,
)
from toolkit.data.decode import make_decoder
from toolkit.data.prepare import Preparation, make_preparer
from toolkit.data.table import ImageTable

COUNT = 11
PREPARATION = Preparation(12, 16)


def make_table(root: Path, names: list) -> ImageTable:
    n = len(names)
    return ImageTable(
        root=root,
        classes=[str(k) for k in range(n)],
        paths=np.array(names, object),
        labels=np.arange(n, dtype=np.int32),
        digests=np.array([f"{k:032x}" for k in range(n)], object),
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
    """Each image, decoded and prepared on its own."""
    decode, prepare = make_decoder(), make_preparer(PREPARATION)
    return np.stack([prepare(decode(tf.io.read_file(file))) for file in table.files()])


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
        augment=make_augmenter(augment),
        seed=seed,
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


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"), [(1, 32, 1), (32, 32, 1), (33, 32, 2), (64, 32, 2)]
)
def test_steps_include_the_last_smaller_batch(images, batch_size, steps):
    assert steps_per_epoch(images, batch_size) == steps
