import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import albumentations
import numpy as np
import pytest

from tests.conftest import ROOT
from toolkit.data import augment
from toolkit.data.augment import Augmenter, make_augmenter
from toolkit.data.policies import POLICIES

SIZE = 32


def seeds(count: int, epoch: int = 0) -> np.ndarray:
    return np.array([[7, epoch, row] for row in range(count)], np.int64)


def arrow(count: int) -> np.ndarray:
    """Dark on the left half, bright on the right."""
    image = np.full((count, SIZE, SIZE, 3), 60, np.uint8)
    image[:, :, SIZE // 2 :] = 190
    return image


def mirrored(images: np.ndarray) -> np.ndarray:
    return images[:, :, :8].mean((1, 2, 3)) > images[:, :, -8:].mean((1, 2, 3))


def test_none_is_no_augmenter():
    assert make_augmenter("none") is None
    assert [type(make_augmenter(name)) for name in POLICIES[1:]] == [Augmenter] * 10


@pytest.mark.parametrize("policy", POLICIES[1:])
@pytest.mark.parametrize("shape", [(3, 20, 30, 3), (1, 8, 8, 3)])
def test_shape_and_type_stay(policy, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = images.copy()

    changed = Augmenter(policy)(images, seeds(len(images)))

    assert changed.shape == shape
    assert changed.dtype == np.uint8
    np.testing.assert_array_equal(images, before)


def test_light_mirrors_half_and_light_no_flip_none():
    images = arrow(400)

    assert 0.42 < mirrored(Augmenter("light")(images, seeds(400))).mean() < 0.58
    assert not mirrored(Augmenter("light-no-flip")(images, seeds(400))).any()
    assert not mirrored(images).any()


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_an_images_draw_follows_from_its_seed_alone(policy):
    images = np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE, 3), np.uint8)
    augmenter = Augmenter(policy)
    whole = augmenter(images, seeds(24))

    alone = [augmenter(images[k : k + 1], seeds(24)[k : k + 1])[0] for k in reversed(range(24))]
    np.testing.assert_array_equal(alone[::-1], whole)
    np.testing.assert_array_equal(Augmenter(policy)(images, seeds(24)), whole)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(augmenter, np.split(images, 8), np.split(seeds(24), 8)))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    changed = (augmenter(images, seeds(24, epoch=1)) != whole).any((1, 2, 3))
    assert changed.mean() > 0.7, "another epoch gives other draws"


@pytest.mark.parametrize("policy", ["light", "light-no-flip"])
def test_brightness_and_contrast_change_by_at_most_15_percent(policy):
    grey = np.full((300, SIZE, SIZE, 3), 120, np.uint8)  # Moving it changes nothing.

    values = Augmenter(policy)(grey, seeds(300)).reshape(300, -1)

    assert (values.min(1) == values.max(1)).all()
    # value x (1 +- 0.15) +- 0.15 x 255, rounded.
    changed = values[:, 0].astype(int)
    assert changed.min() >= 120 * 0.85 - 38.25 - 1
    assert changed.max() <= 120 * 1.15 + 38.25 + 1
    assert changed.min() < 95 and changed.max() > 145
    assert 0.4 < (changed == 120).mean() < 0.6  # Half of them stay.


def test_the_changes_are_drawn_independently():
    images = arrow(1000)
    changed = Augmenter("light")(images, seeds(1000))
    flipped = mirrored(changed)
    straight = np.where(flipped[:, None, None, None], changed[:, :, ::-1], changed)
    # Brightness and contrast show in the borders' flat colours, moves in the edge's place.
    lit = straight[:, 0, 0, 0] != 60
    moved = (straight != straight[:, :1]).any((1, 2, 3)) | (
        straight[:, 0, SIZE // 2 - 1 : SIZE // 2 + 1, 0] != straight[:, 0, [0, -1], 0]
    ).any(1)

    for one, two in ((flipped, lit), (flipped, moved), (lit, moved)):
        assert abs(one[two].mean() - one[~two].mean()) < 0.15


def test_images_move_by_a_few_pixels():
    dot = np.zeros((300, 101, 101, 3), np.uint8)
    dot[:, 45:56, 45:56] = 255

    changed = Augmenter("light-no-flip")(dot, seeds(300)).astype(float).mean(-1)
    bright = changed - np.median(changed, (1, 2), keepdims=True) > 60
    centres = np.array([np.argwhere(image).mean(0) for image in bright]) - 50

    assert np.abs(centres).max() <= 0.06 * 101 + 1
    moved = np.abs(centres).max(1) > 0.5
    assert 0.65 < moved.mean() < 0.95  # Four of five are moved.


def test_an_images_seed_alone_decides():
    images = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 3), np.uint8)
    augmenter = Augmenter("light")
    whole = augmenter(images, seeds(20))

    np.testing.assert_array_equal(whole, augmenter(images, seeds(20)))
    np.testing.assert_array_equal(whole, Augmenter("light")(images, seeds(20)))
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_array_equal(whole[order], augmenter(images[order], seeds(20)[order]))
    np.testing.assert_array_equal(whole[5:7], augmenter(images[5:7], seeds(20)[5:7]))


def test_other_seeds_give_other_images():
    images = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    many = Augmenter("light")(images.repeat(100, 0), seeds(100))
    next_epoch = Augmenter("light")(images.repeat(100, 0), seeds(100, epoch=1))

    assert len({image.tobytes() for image in many}) > 85
    assert sum(np.array_equal(*pair) for pair in zip(many, next_epoch, strict=True)) < 10


def test_any_whole_numbers_are_seeds():
    images = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    numbers = [0, 1, -1, 2**32, 2**63 - 1, -(2**63), 2**62, 3, 256, -256]
    rows = np.array([[a, b, c] for a in numbers for b in numbers for c in numbers], np.int64)
    augmenter = Augmenter("light")

    drawn = augmenter(images.repeat(len(rows), 0), rows)

    # About one in ten is left as it is, in some of the others nothing but the mirroring changes.
    assert len({image.tobytes() for image in drawn}) > 0.8 * len(rows)
    np.testing.assert_array_equal(drawn[-7:], augmenter(images.repeat(7, 0), rows[-7:]))
    # A row may be of any length, and its place matters.
    one, two, three = (augmenter(images, np.array([row])) for row in ([5], [5, 0], [0, 5]))
    assert not np.array_equal(one, two) and not np.array_equal(two, three)


def test_seeds_mean_the_same_in_every_type_that_holds_them():
    images = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 3), np.uint8)
    augmenter = Augmenter("light")

    for kind in (np.int32, ">i8", np.uint8):
        np.testing.assert_array_equal(
            augmenter(images, seeds(9)), augmenter(images, seeds(9).astype(kind))
        )


def test_steps_that_draw_from_numpy_are_seeded_too(monkeypatch):
    class Noisy(albumentations.ImageOnlyTransform):
        def apply(self, img, **parameters):
            return img + self.random_generator.integers(0, 50, img.shape, np.uint8)

    compose = albumentations.Compose([Noisy(p=1), Noisy(p=1)])
    monkeypatch.setattr(augment, "make_transform", lambda policy: compose)
    images, augmenter = np.zeros([20, SIZE, SIZE, 3], np.uint8), Augmenter("light")
    whole = augmenter(images, seeds(20))

    assert len({image.tobytes() for image in whole}) == 20
    assert (whole % 2).any()  # Two equal draws would add up to even numbers.
    np.testing.assert_array_equal(whole[7:9], augmenter(images[7:9], seeds(20)[7:9]))


def test_nobody_elses_randomness_is_touched():
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()

    Augmenter("light")(arrow(5), seeds(5))

    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_threads_do_not_disturb_each_other():
    images = np.random.default_rng(0).integers(0, 256, (200, SIZE, SIZE, 3), np.uint8)
    augmenter = Augmenter("light")
    alone = augmenter(images, seeds(200))

    parts = [slice(k, k + 5) for k in range(0, 200, 5)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda part: augmenter(images[part], seeds(200)[part]), parts))

    np.testing.assert_array_equal(np.concatenate(together), alone)


def test_nothing_asks_the_network():
    # albumentations does, at import, to compare its version with the newest.
    code = (
        "import os, socket, sys\n"
        "os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "def refuse(*args, **kwargs): print('asked', args); raise OSError\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "import numpy as np\n"
        "from toolkit.data.augment import Augmenter\n"
        "assert 'albumentations' not in sys.modules\n"
        "Augmenter('light')(np.zeros([1, 8, 8, 3], np.uint8), np.zeros([1, 2], np.int64))\n"
        "assert 'albumentations' in sys.modules\n"
        "print('done')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "done\n"
    assert done.stderr == ""
