import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.conftest import quietly
from toolkit.data.batches import image_batches
from toolkit.data.near_duplicates import COARSE_LIMIT, LIMIT, near_groups, near_pairs
from toolkit.data.perceptual_hash import (
    THUMBNAIL_SIDE,
    WORDS,
    group_near_duplicates,
    hash_thumbnail,
    hash_thumbnails,
    perceptual_hashes,
)
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source

PICTURES = 8


def draw_smooth(seed: int, size: tuple[int, int] = (150, 120)) -> Image.Image:
    """A smooth picture of many colours; (width, height)."""
    colours = np.random.default_rng(seed).integers(0, 256, (12, 15, 3), np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


def write_copies(folder, picture: Image.Image, name: str) -> None:
    width, height = picture.size
    picture.save(folder / f"{name}-original.jpg", quality=92)
    picture.save(folder / f"{name}-recompressed.jpg", quality=50)
    picture.save(folder / f"{name}-other-format.png")
    picture.resize((135, 108)).save(folder / f"{name}-smaller.jpg")
    picture.resize((165, 132)).save(folder / f"{name}-larger.webp")
    ImageEnhance.Brightness(picture).enhance(1.05).save(folder / f"{name}-brighter.jpg")
    picture.crop((1, 1, width - 1, height - 1)).save(folder / f"{name}-cropped.jpg")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Seven copies of each picture in turn, a damaged and a large file among them."""
    root = tmp_path_factory.mktemp("copies")
    for name in ("one", "two"):
        (root / name).mkdir()
    for seed in range(PICTURES):
        write_copies(root / ("one", "two")[seed % 2], draw_smooth(seed), f"{seed:02}")
    whole = (root / "one" / "00-original.jpg").read_bytes()
    (root / "one" / "01-damaged.jpg").write_bytes(whole[: len(whole) // 2])
    draw_smooth(0, (300, 240)).save(root / "two" / "00-large.png")
    return scan(list_source(root), 10**8, quietly)


@pytest.fixture(scope="module")
def hashed(table):
    return perceptual_hashes(table, quietly, max_pixels=200 * 200)


def test_whatever_can_be_decoded_has_a_hash(table, hashed):
    rows, hashes = hashed
    left_out = np.setdiff1d(np.arange(len(table)), rows)

    assert table.paths[left_out].tolist() == ["one/01-damaged.jpg", "two/00-large.png"]
    assert rows.dtype == np.int64 and (np.diff(rows) > 0).all()
    assert hashes.dtype == np.uint64 and hashes.shape == (7 * PICTURES, WORDS)


def test_slightly_changed_copies_are_near_and_different_pictures_are_not(table, hashed):
    rows, hashes = hashed
    groups = near_groups(near_pairs(hashes), len(hashes))
    pictures = np.array([int(path.split("/")[1][:2]) for path in table.paths[rows]])

    same_group = groups[:, None] == groups
    np.testing.assert_array_equal(same_group, pictures[:, None] == pictures)


def test_each_kind_of_copy_is_within_the_limits_by_itself(table, hashed):
    rows, hashes = hashed
    names = [path.split("/")[1] for path in table.paths[rows]]
    for place, name in enumerate(names):
        original = hashes[names.index(f"{name[:2]}-original.jpg")]
        differing = np.bitwise_count(original ^ hashes[place])
        assert differing[0] <= COARSE_LIMIT and differing.sum() <= LIMIT, name


def test_streamed_hashes_are_those_of_thumbnails_that_somebody_else_made(table, hashed):
    preparation = Preparation(THUMBNAIL_SIDE, THUMBNAIL_SIDE, crop="squash")
    expected = dict(zip(*hashed, strict=True))
    for rows, thumbnails in image_batches(table, preparation, 9):
        for row, found in zip(rows, hash_thumbnails(thumbnails), strict=True):
            if row in expected:
                np.testing.assert_array_equal(found, expected[row])


def test_a_table_of_no_images_has_no_hashes(table):
    rows, hashes = perceptual_hashes(table.rows(np.zeros(len(table), bool)), quietly)
    assert rows.shape == (0,) and hashes.shape == (0, WORDS)


def test_bits_are_the_librarys():
    thumbnails = np.stack([np.asarray(draw_smooth(seed, (64, 64))) for seed in range(4)])
    reference = [imagehash.phash(Image.fromarray(each), 16) for each in thumbnails]
    hashes = hash_thumbnails(thumbnails)
    for i, first in enumerate(reference):
        for j, second in enumerate(reference):
            differing = np.bitwise_count(hashes[i] ^ hashes[j])
            assert differing.sum() == first - second
            assert differing[0] == (first.hash ^ second.hash)[:8, :8].sum()


def test_dtype_and_batch_make_no_difference():
    thumbnail = np.asarray(draw_smooth(1, (64, 64)))
    single = hash_thumbnail(thumbnail)

    assert single.shape == (WORDS,) and single.dtype == np.uint64
    np.testing.assert_array_equal(hash_thumbnail(thumbnail.astype(np.float32)), single)
    np.testing.assert_array_equal(hash_thumbnail(thumbnail - np.float32(0.4)), single)
    np.testing.assert_array_equal(hash_thumbnails(np.stack([thumbnail] * 2)), [single] * 2)
    assert hash_thumbnails(np.zeros([0, 64, 64, 3], np.float32)).shape == (0, WORDS)


def test_values_beyond_the_range_do_not_wrap():
    thumbnail = np.asarray(draw_smooth(2, (64, 64))).astype(np.float32)
    beyond = np.where(thumbnail > 250, 300, np.where(thumbnail < 5, -40, thumbnail))
    clipped = np.where(thumbnail > 250, 255, np.where(thumbnail < 5, 0, thumbnail))
    assert (beyond != clipped).any()
    np.testing.assert_array_equal(hash_thumbnail(beyond), hash_thumbnail(clipped))


def test_images_of_one_grey_level_have_one_hash():
    thumbnails = np.stack([np.full((64, 64, 3), level, np.uint8) for level in (1, 77, 254, 255)])
    assert len(np.unique(hash_thumbnails(thumbnails), axis=0)) == 1


def test_near_duplicates_become_groups_of_a_table(table):
    grouped = group_near_duplicates(table, quietly, max_pixels=200 * 200)
    rows = [row for row, path in enumerate(table.paths) if grouped.groups[row]]
    pictures = [path.split("/")[1][:2] for path in table.paths[rows]]
    pairs = set(zip(grouped.groups[rows], pictures, strict=True))
    assert len(rows) == 7 * PICTURES, "what cannot be decoded is in none"
    assert len(pairs) == PICTURES == len({group for group, _ in pairs})
