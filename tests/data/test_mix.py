"""MixUp and CutMix: labels follow the pixels, and the seed decides all that is drawn."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from tests.conftest import draw_image
from tests.data.test_batches import make_table
from toolkit.data import mix as mix_module
from toolkit.data.batches import training_batches
from toolkit.data.mix import CUTMIX, EITHER, MIXUP, NONE, cutmix, draw_box, mix_batch, mixup
from toolkit.data.order import steps_per_epoch
from toolkit.data.prepare import Preparation
from toolkit.data.views import Views

WAYS = (MIXUP, CUTMIX, EITHER)
SEEDS = range(30)
HEIGHT, WIDTH = 7, 9


def plain_batch(count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Images of one colour each, of classes of their own: image k has the value 10 k + 1."""
    values = 10 * np.arange(count, dtype=np.float32) + 1
    return np.tile(values[:, None, None, None], (1, HEIGHT, WIDTH, 3)), np.arange(count)


def noisy_batch(count: int = 6, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (count, HEIGHT, WIDTH, 3)).astype(np.float32)
    return images, np.arange(count) % classes


def test_cutmix_labels_have_the_pixels_shares_to_the_pixel():
    images, labels = plain_batch()
    areas = set()
    for seed in SEEDS:
        mixed, targets = mix_batch(images, labels, 4, CUTMIX, [seed])
        pixels = np.stack([(mixed == image[0, 0]).all(-1).sum((1, 2)) for image in images], 1)
        np.testing.assert_array_equal(pixels.sum(1), HEIGHT * WIDTH)
        np.testing.assert_allclose(targets, pixels / (HEIGHT * WIDTH), atol=1e-6)
        areas |= set(pixels.ravel().tolist())
    assert len(areas) > 10


def test_mixup_pixels_are_the_convex_combination_that_the_labels_tell():
    images, labels = noisy_batch(4, 4)
    shares = set()
    for seed in SEEDS:
        mixed, targets = mix_batch(images, labels, 4, MIXUP, [seed])
        np.testing.assert_allclose(mixed, np.tensordot(targets, images, 1), atol=1e-3)
        assert mixed.min() >= 0 and mixed.max() <= 255
        shares |= set(np.round(targets.max(1), 4))
    assert len(shares) > 10


def test_reference_values():
    images, targets = np.zeros([2, 2, 4, 3], np.float32), np.eye(2, dtype=np.float32)
    images[1] = 100
    partners = np.array([1, 0])

    mixed, shares = mixup(images, targets, partners, 0.25)
    assert (mixed[0] == 25).all() and (mixed[1] == 75).all()
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [0.25, 0.75]])

    mixed, shares = cutmix(images, targets, partners, (0, 1, 1, 4))
    np.testing.assert_array_equal(mixed[0, :, :, 0], [[0, 100, 100, 100], [0, 0, 0, 0]])
    np.testing.assert_array_equal(mixed[1], 100 - mixed[0])
    np.testing.assert_array_equal(shares, [[0.625, 0.375], [0.375, 0.625]])
    np.testing.assert_array_equal(images[0], 0), "what was given stays as it is"


@pytest.mark.parametrize("way", WAYS)
def test_targets_sum_to_one_and_every_image_counts_once(way):
    images, labels = noisy_batch()
    for seed in SEEDS:
        mixed, targets = mix_batch(images, labels, 3, way, [seed])
        assert (mixed.shape, targets.shape) == (images.shape, (6, 3))
        assert mixed.dtype == targets.dtype == np.float32
        assert targets.min() >= 0
        np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(targets.sum(0), 2, atol=1e-5)
        np.testing.assert_allclose(mixed.sum(), images.sum(), rtol=0.2)


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_of_one_image_stays_as_it_is(way):
    images, labels = noisy_batch(1)
    for seed in SEEDS:
        mixed, targets = mix_batch(images, labels, 3, way, [seed])
        np.testing.assert_array_equal(mixed, images)
        np.testing.assert_array_equal(targets, [[1, 0, 0]])


@pytest.mark.parametrize("way", WAYS)
def test_the_seeds_alone_decide(way):
    images, labels = noisy_batch()
    one, two = (mix_batch(images, labels, 3, way, [5, 1, 2]) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    found = {mix_batch(images, labels, 3, way, [seed])[0].tobytes() for seed in SEEDS}
    assert len(found) > len(SEEDS) / 2


@pytest.mark.parametrize(("way", "alpha"), [(MIXUP, 0.2), (CUTMIX, 1.0)])
def test_shares_have_the_papers_distribution(way, alpha, monkeypatch):
    drawn = []
    name = {MIXUP: "mixup", CUTMIX: "draw_box"}[way]
    original = getattr(mix_module, name)
    monkeypatch.setattr(mix_module, name, lambda *a: drawn.append(a[-1]) or original(*a))
    images, labels = np.zeros([2, 4, 4, 3], np.float32), np.arange(2)
    for seed in range(1000):
        mix_batch(images, labels, 2, way, [seed])
    assert kstest(drawn, "beta", (alpha, alpha)).pvalue > 0.01


def test_either_way_is_drawn_for_half_of_the_batches():
    images, labels = plain_batch(2)
    boxes = 0
    for seed in range(400):
        mixed, _ = mix_batch(images, labels, 2, EITHER, [seed])
        boxes += set(np.unique(mixed)) <= set(np.unique(images))
    # Images that are their own partners look like boxes, and so do a few shares near 0 and 1.
    assert 0.68 < boxes / 400 < 0.9


def test_boxes_are_as_large_as_their_share_and_lie_anywhere():
    random = np.random.default_rng(0)
    boxes = np.array([draw_box(random, 40, 60, 0.25) for _ in range(2000)])
    heights, widths = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    assert (heights.max(), widths.max()) == (20, 30)
    assert boxes.min() == 0 and (boxes[:, 1].max(), boxes[:, 3].max()) == (40, 60)
    covered = np.zeros([40, 60])
    for top, bottom, left, right in boxes:
        covered[top:bottom, left:right] += 1
    assert covered.min() > 0.15 * covered.max(), "corners are covered more rarely: a fourth"
    inside = (boxes[:, 0] > 0) & (boxes[:, 1] < 40)
    assert set(heights[inside]) == {20}


def test_no_share_is_an_empty_box_and_all_of_it_covers_half_of_a_side_at_least():
    random = np.random.default_rng(0)
    for _ in range(50):
        top, bottom, left, right = draw_box(random, 5, 8, 0.0)
        assert (bottom - top) * (right - left) == 0
        top, bottom, left, right = draw_box(random, 5, 8, 1.0)
        assert bottom - top >= 2 and right - left >= 4


COUNT = 9
PREPARATION = Preparation(12, 16)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    names = [f"{k}.png" for k in range(COUNT)]
    for k, name in enumerate(names):
        draw_image((25 * k, 255 - 25 * k, 99), k, (30 + k, 25)).save(root / name)
    return make_table(root, names)


def train(table, epochs, mix=EITHER, augment="light", seed=3):
    views = Views(augment, seed, 0)
    return training_batches(table, PREPARATION, 4, views=views, epochs=epochs, mix=mix)


def together(batches):
    firsts, seconds = zip(*(tuple(map(np.asarray, batch)) for batch in batches), strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)


@pytest.mark.parametrize("mix", WAYS)
def test_training_mixes_what_was_augmented(table, mix):
    mixed = list(train(table, range(2), mix))
    augmented = list(train(table, range(2), NONE))

    assert len(mixed) == len(augmented) == 2 * steps_per_epoch(COUNT, 4)
    for step, ((images, targets), (pixels, rows)) in enumerate(zip(mixed, augmented, strict=True)):
        # Each image is a class of its own, so that a label is its row.
        seeds = [3, step // 3, *rows.numpy()]
        expected = mix_batch(pixels.numpy(), rows.numpy(), COUNT, mix, seeds)
        np.testing.assert_array_equal(images, expected[0])
        np.testing.assert_array_equal(targets, expected[1])
    assert [len(targets) for _, targets in mixed] == [4, 4, 1] * 2
    np.testing.assert_array_equal(mixed[2][0], augmented[2][0])


def test_what_is_mixed_differs_in_each_epoch_and_with_the_seed(table):
    found = set()
    for seed in (3, 4):
        views = Views("none", seed, 0)
        batches = training_batches(
            table, PREPARATION, COUNT, views=views, epochs=range(4), mix=CUTMIX
        )
        found |= {np.sort(np.asarray(targets).max(1)).tobytes() for _, targets in batches}
    assert len(found) == 8


@pytest.mark.parametrize("augment", ["none", "light"])
def test_the_same_seed_gives_the_same_however_often_and_on_however_many_threads(table, augment):
    first = together(train(table, range(2), augment=augment))
    for threads in (1, 7):
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        again = together(train(table, range(2), augment=augment).with_options(options))
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[1], again[1])


def test_later_epochs_are_the_tail_of_all(table):
    whole = itertools.islice(train(table, range(4)), 2 * steps_per_epoch(COUNT, 4), None)
    for one, two in zip(together(whole), together(train(table, range(2, 4))), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("augment", ["none", "light"])
def test_shapes_are_known_to_keras(table, augment):
    images, targets = train(table, range(1), augment=augment).element_spec
    assert images.shape.as_list() == [None, 12, 16, 3]
    assert targets.shape.as_list() == [None, COUNT] and targets.dtype == tf.float32
