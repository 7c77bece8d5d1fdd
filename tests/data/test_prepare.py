import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from toolkit.data.prepare import (
    CENTER,
    CROPS,
    PAD,
    PADDING,
    SQUASH,
    Preparation,
    check_crop,
    make_preparer,
)
from toolkit.errors import OptionError


def prepare(image: np.ndarray, height: int, width: int, crop: str = CENTER) -> np.ndarray:
    """Prepared eagerly, and inside tf.data, which must agree."""
    function = make_preparer(Preparation(height, width, crop=crop))
    eager = function(tf.constant(image)).numpy()
    batches = tf.data.Dataset.from_tensors(image).map(function)
    np.testing.assert_array_equal(eager, next(batches.as_numpy_iterator()))
    assert eager.dtype == np.float32
    assert eager.shape == (height, width, 3)
    return eager


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_an_image_of_the_right_size_is_left_as_it_is():
    image = noise(13, 17)

    np.testing.assert_array_equal(prepare(image, 13, 17), image)


@pytest.mark.parametrize(
    ("size", "target", "rows", "columns"),
    [
        ((12, 20), (12, 12), slice(0, 12), slice(4, 16)),  # Wide: the middle square.
        ((20, 12), (12, 12), slice(4, 16), slice(0, 12)),  # Tall.
        ((12, 21), (12, 12), slice(0, 12), slice(4, 16)),  # Odd: the extra column is the right one.
        ((12, 40), (6, 12), slice(0, 12), slice(8, 32)),  # A target twice as wide as high.
        ((40, 12), (6, 12), slice(17, 23), slice(0, 12)),
        ((40, 40), (12, 6), slice(0, 40), slice(10, 30)),
        ((1, 1000), (1, 1), slice(0, 1), slice(499, 500)),
        ((1000, 1), (1, 1), slice(499, 500), slice(0, 1)),
    ],
)
def test_the_largest_centred_part_with_the_targets_aspect_is_taken(size, target, rows, columns):
    image = noise(*size)

    np.testing.assert_allclose(
        prepare(image, *target), prepare(image[rows, columns], *target), atol=1e-4
    )
    if (rows.stop - rows.start, columns.stop - columns.start) == target:
        np.testing.assert_array_equal(prepare(image, *target), image[rows, columns])


@pytest.mark.parametrize("crop", [CENTER, SQUASH])
@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (1, 1), (2, 3), (3000, 2)])
@pytest.mark.parametrize("target", [(8, 8), (8, 24), (24, 8)])
def test_extreme_images_are_prepared(size, target, crop):
    prepared = prepare(np.full((*size, 3), 77, np.uint8), *target, crop)

    np.testing.assert_allclose(prepared, 77, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "target", "rows", "columns"),
    [
        ((12, 20), (20, 20), slice(4, 16), slice(0, 20)),  # Wide: bars above and below.
        ((20, 12), (20, 20), slice(0, 20), slice(4, 16)),  # Tall: at the sides.
        ((24, 48), (12, 12), slice(3, 9), slice(0, 12)),  # And shrunk.
        ((3, 6), (12, 12), slice(3, 9), slice(0, 12)),  # And grown.
        ((10, 10), (10, 15), slice(0, 10), slice(2, 12)),  # An odd column more at the right.
        ((1, 1000), (8, 8), slice(3, 4), slice(0, 8)),
        ((1000, 1), (24, 8), slice(0, 24), slice(3, 4)),
        ((16, 16), (16, 16), slice(0, 16), slice(0, 16)),
    ],
)
def test_padding_keeps_all_of_an_image_in_its_proportions(size, target, rows, columns):
    image = noise(*size)
    inside = rows.stop - rows.start, columns.stop - columns.start

    prepared = prepare(image, *target, PAD)

    part = prepared[rows, columns].copy()
    if min(size) > 1:
        np.testing.assert_allclose(part, prepare(image, *inside), atol=1e-3)
    prepared[rows, columns] = PADDING
    np.testing.assert_array_equal(prepared, np.broadcast_to(PADDING, prepared.shape))


@pytest.mark.parametrize(("size", "target"), [((60, 20), (15, 20)), ((40, 90), (10, 10))])
def test_squashing_takes_the_whole_image(size, target):
    image = noise(*size)
    rows, columns = shares(size[0], target[0]), shares(size[1], target[1])
    reference = np.einsum("yh,xw,hwc->yxc", rows, columns, image, optimize=True)

    np.testing.assert_allclose(prepare(image, *target, SQUASH), reference, atol=0.02)


def test_what_shrinks_to_one_side_and_grows_to_the_other_is_smoothed():
    stripes = np.zeros((8, 256, 3), np.uint8)
    stripes[:, ::2] = 255

    prepared = prepare(stripes, 32, 32, SQUASH)

    np.testing.assert_allclose(prepared[:, 1:-1], 127.5, atol=4)
    reference = Image.fromarray(noise(8, 256)).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(prepare(noise(8, 256), 32, 32, SQUASH) - np.asarray(reference)).max() <= 1.0


def test_an_unknown_crop_is_refused():
    for crop in CROPS:
        check_crop(crop)
    with pytest.raises(OptionError, match="--crop must be one of center, squash, pad"):
        check_crop("stretch")


@pytest.mark.parametrize("value", [0, 1, 128, 255])
@pytest.mark.parametrize("size", [(50, 31), (7, 9), (300, 200)])
def test_a_constant_image_stays_constant(value, size):
    prepared = prepare(np.full((*size, 3), value, np.uint8), 16, 16)

    np.testing.assert_allclose(prepared, value, atol=1e-3)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_fine_checkerboard_becomes_grey(factor):
    y, x = np.indices((16 * factor, 16 * factor))
    board = np.repeat((255 * ((x + y) % 2)).astype(np.uint8)[..., None], 3, -1)

    prepared = prepare(board, 16, 16)

    # Without antialiasing, it would stay black and white.
    np.testing.assert_allclose(prepared, 127.5, atol=1e-3)


def shares(count: int, target: int) -> np.ndarray:
    """How much of each of `target` equal parts lies in each of `count` pixels: rows sum to one."""
    pixels, parts = np.arange(count + 1) / count, np.arange(target + 1) / target
    first = np.maximum(parts[:-1, None], pixels[None, :-1])
    last = np.minimum(parts[1:, None], pixels[None, 1:])
    return np.maximum(last - first, 0) * target


@pytest.mark.parametrize(
    ("size", "target"),
    [((64, 64), (16, 16)), ((75, 50), (30, 20)), ((33, 33), (32, 32)), ((375, 375), (224, 224))],
)
def test_shrinking_averages_the_area_of_each_pixel(size, target):
    image = noise(*size)
    rows, columns = shares(size[0], target[0]), shares(size[1], target[1])
    reference = np.einsum("yh,xw,hwc->yxc", rows, columns, image, optimize=True)

    np.testing.assert_allclose(prepare(image, *target), reference, atol=0.02)


def test_shrinking_by_a_whole_number_is_pillows_box():
    image = noise(60, 90)
    reference = Image.fromarray(image).reduce(3)

    assert np.abs(prepare(image, 20, 30) - np.asarray(reference)).max() <= 0.75


@pytest.mark.parametrize(("size", "target"), [((8, 8), (32, 32)), ((5, 10), (7, 14))])
def test_growing_is_pillows_bilinear(size, target):
    image = noise(*size)
    reference = Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR)

    assert np.abs(prepare(image, *target) - np.asarray(reference)).max() <= 1.0


def test_values_stay_between_0_and_255():
    for seed in range(5):
        extreme = np.random.default_rng(seed).choice([0, 255], (61, 47, 3)).astype(np.uint8)
        prepared = prepare(extreme, 23, 19)
        assert prepared.min() >= 0
        assert prepared.max() <= 255.01  # An area's weights may add up to a little more than 1.
        assert prepared.max() - prepared.min() > 50


def test_a_mirrored_image_is_prepared_to_the_mirrored_result():
    image = noise(40, 60)

    np.testing.assert_allclose(
        prepare(image[:, ::-1], 16, 16), prepare(image, 16, 16)[:, ::-1], atol=1e-3
    )


def test_the_key_names_what_decides_the_pixels():
    base = Preparation(224, 200)

    assert base.key == Preparation(224, 200, max_pixels=10).key
    others = [Preparation(200, 224), Preparation(224, 201), Preparation(224, 200, version=99)]
    others += [Preparation(224, 200, crop=SQUASH), Preparation(224, 200, crop=PAD)]
    assert len({base.key, *(p.key for p in others)}) == 6
    assert base.key == "v2-center-area-224x200"
