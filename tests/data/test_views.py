import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import albumentations
import numpy as np
import pytest

from toolkit.data.policies import POLICIES
from toolkit.data.table import ImageTable
from toolkit.data.views import DRAWING, Views, content_numbers

COUNT = 16


def make_table(names) -> ImageTable:
    names = list(names)
    return ImageTable(
        root=Path("/none"),
        classes=["a"],
        paths=np.array([f"{name}.jpg" for name in names], object),
        labels=np.zeros(len(names), np.int32),
        digests=np.array(
            [hashlib.blake2b(str(n).encode(), digest_size=16).hexdigest() for n in names], object
        ),
        splits=np.array(["train"] * len(names), object),
    )


def images(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 12, 14, 3)).astype(np.float32)


CONTENTS = content_numbers(make_table(range(COUNT)))


def differing(one: np.ndarray, two: np.ndarray) -> float:
    """The share of images that are not the same."""
    return float((one != two).any((1, 2, 3)).mean())


@pytest.mark.parametrize("policy", ["light", "light-no-flip"])
def test_a_draw_follows_from_seed_number_and_content_alone(policy):
    drawn = Views(policy, 3, 8).draw(images(), CONTENTS, 2)

    assert drawn.shape == images().shape and drawn.dtype == np.float32
    assert drawn.min() >= 0 and drawn.max() <= 255
    np.testing.assert_array_equal(Views(policy, 3, 1).draw(images(), CONTENTS, 2), drawn)
    order = np.random.default_rng(1).permutation(COUNT)
    shuffled = Views(policy, 3, 8).draw(images()[order], CONTENTS[order], 2)
    np.testing.assert_array_equal(shuffled, drawn[order])
    for start, stop in ((0, 1), (3, 9)):
        part = Views(policy, 3, 8).draw(images()[start:stop], CONTENTS[start:stop], 2)
        np.testing.assert_array_equal(part, drawn[start:stop])


def test_views_images_and_seeds_are_drawn_differently():
    views, same = Views("light", 3, 8), np.repeat(images(1), COUNT, 0)
    drawn = [views.draw(same, CONTENTS, number) for number in range(4)]

    for other in range(1, 4):
        assert differing(drawn[0], drawn[other]) > 0.8
    assert differing(drawn[0], Views("light", 4, 8).draw(same, CONTENTS, 0)) > 0.8
    assert len({image.tobytes() for image in drawn[0]}) > 0.8 * COUNT, "the images' contents"
    assert len({image.tobytes() for view in drawn for image in view}) > 0.8 * 4 * COUNT


def test_a_seed_is_no_view_and_a_view_no_seed():
    one, two = (Views("light", s, 8).draw(images(), CONTENTS, n) for s, n in ((1, 2), (2, 1)))
    assert differing(one, two) > 0.8


def test_drawing_in_many_threads_changes_nothing():
    views = Views("light", 3, 8)
    expected = [Views("light", 3, 8).draw(images(), CONTENTS, number) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda n: views.draw(images(), CONTENTS, n % 8), range(32)))
    for number, each in enumerate(drawn):
        np.testing.assert_array_equal(each, expected[number % 8])


def test_without_augmentation_images_stay_as_they_are():
    views = Views("none", 3, 1)
    assert views.augment is None
    np.testing.assert_array_equal(views.draw(images(), CONTENTS, 5), images())


def test_a_key_names_all_that_decides_a_draw(monkeypatch):
    key = Views("light", 3, 8).key(2)
    assert key == {
        "augment": f"light v{DRAWING}, albumentations {albumentations.__version__}",
        "seed": 3,
        "view": 2,
    }
    assert Views("light", 3, 1).key(2) == key, "not how many there are"
    others = [
        Views("light-no-flip", 3, 8).key(2),
        Views("light", 4, 8).key(2),
        Views("light", 3, 8).key(1),
    ]
    assert key not in others
    monkeypatch.setattr(albumentations, "__version__", "99.0")
    assert Views("light", 3, 8).key(2) != key


def test_without_augmentation_all_views_have_one_key():
    assert Views("none", 3, 1).key(0) == Views("none", 4, 1).key(0) == {"augment": "none"}


def test_every_policy_has_a_key_of_its_own():
    assert len({str(Views(policy, 0, 1).key(0)) for policy in POLICIES}) == len(POLICIES)


def test_content_numbers_follow_from_the_content():
    numbers = content_numbers(make_table(range(1000)))
    assert numbers.dtype == np.int64 and numbers.min() >= 0
    assert len(set(numbers.tolist())) == 1000
    np.testing.assert_array_equal(content_numbers(make_table([5, 3])), numbers[[5, 3]])
    assert content_numbers(make_table([])).shape == (0,)
