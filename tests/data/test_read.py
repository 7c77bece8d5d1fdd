import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.encoded import FILES, PHOTO, encode, exif, jpeg_with, segment
from toolkit.data.decode import make_decoder
from toolkit.data.prepare import CENTER, CROPS, PAD, SQUASH, Preparation, make_preparer
from toolkit.data.read import make_joint_reader, make_reader


def read(data: bytes, height: int = 16, width: int = 16, crop: str = CENTER) -> np.ndarray:
    image = make_reader(Preparation(height, width, crop=crop))(tf.constant(data)).numpy()
    assert image.dtype == np.float32
    assert image.shape == (height, width, 3)
    return image


def read_whole(data: bytes, height: int = 16, width: int = 16, crop: str = CENTER) -> np.ndarray:
    """The slow way: all is decoded, turned, cropped and resized."""
    prepare = make_preparer(Preparation(height, width, crop=crop))
    return prepare(make_decoder()(tf.constant(data))).numpy()


def assert_same(one: np.ndarray, two: np.ndarray) -> None:
    """The same but for the rounding of float32: it matters what is done first, turn or resize."""
    np.testing.assert_allclose(one, two, atol=0.01)


def refused(data: bytes, **options: int) -> str:
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        make_reader(Preparation(16, 16, **options))(tf.constant(data))
    return str(error.value)


def picture(width: int, height: int) -> Image.Image:
    """Coarse noise, so that JPEG keeps it, with colours that change from pixel to pixel."""
    small = np.random.default_rng(width).integers(
        0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8
    )
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def turned(image: Image.Image, orientation: int, **options: object) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encode(image, "JPEG", exif=tags, **options)


@pytest.mark.parametrize("size", [(16, 16), (20, 14), (14, 20), (48, 64), (60, 60)])
@pytest.mark.parametrize("name", FILES)
def test_every_format_is_what_decoding_and_preparing_it_gives(name, size):
    np.testing.assert_array_equal(read(FILES[name], *size), read_whole(FILES[name], *size))


@pytest.mark.parametrize("crop", [SQUASH, PAD])
@pytest.mark.parametrize("size", [(24, 24), (20, 28), (48, 64)])
@pytest.mark.parametrize("name", FILES)
def test_every_format_can_be_squashed_or_padded(name, size, crop):
    whole = read_whole(FILES[name], *size, crop)
    np.testing.assert_array_equal(read(FILES[name], *size, crop), whole)


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(16, 16), (12, 20), (21, 13), (64, 48)])
def test_every_orientation_is_upright(orientation, size, crop):
    # Sides that leave an odd number of pixels over, too.
    height, width = (2 * side if crop == PAD else side for side in size)  # Not to shrink by four.
    for image in (PHOTO, picture(47, 58), picture(59, 31)):
        data = turned(image, orientation)
        assert_same(read(data, height, width, crop), read_whole(data, height, width, crop))


def test_an_upright_photo_and_its_turned_twin_are_the_same():
    # Decoded by Pillow, so that nothing of TensorFlow's is compared with itself.
    ways = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180}
    ways |= {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = read(encode(PHOTO, "PNG"), 20, 28)
    for orientation, way in ways.items():
        twin = turned(PHOTO.transpose(way), orientation, quality=100, subsampling=0)
        np.testing.assert_allclose(read(twin, 20, 28), upright, atol=2.5)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"subsampling": "4:2:2"}),
        ("RGB", {"subsampling": "4:2:0"}),
        ("RGB", {"subsampling": "4:1:1"}),
        ("L", {}),
        ("CMYK", {}),
    ],
)
def test_a_part_of_a_jpeg_is_that_part_of_the_whole(mode, options, progressive):
    options = {**options, "progressive": progressive, "quality": 93}
    # Its edges fall on, before and behind those of JPEG's blocks.
    for side in [*range(33, 50), 64, 65]:
        for width, height in ((side, 32), (32, side), (side, 90)):
            data = encode(picture(width, height).convert(mode), "JPEG", **options)
            np.testing.assert_array_equal(read(data, 24, 24), read_whole(data, 24, 24))


@pytest.mark.parametrize("width", [1, 2, 3, 8, 9, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 7, 16, 200])
def test_tiny_and_long_images_are_read(width, height):
    image = picture(width, height)
    for size in ((64, 64), (64, 192), (192, 64), (200, 200)):
        for data in (encode(image, "JPEG"), turned(image, 6), encode(image, "PNG")):
            assert_same(read(data, *size), read_whole(data, *size))


def test_a_very_long_image_is_read():
    for width, height in ((60_000, 1), (1, 60_000), (40_000, 3)):
        data = encode(Image.new("RGB", (width, height), (50, 100, 200)), "JPEG", quality=95)
        np.testing.assert_allclose(read(data), np.full([16, 16, 3], (50, 100, 200)), atol=2)


@pytest.fixture(scope="module")
def camera_picture() -> Image.Image:
    """12 megapixels with structure of every size, about as strong as in photos, in 16 tiles."""
    random, tile = np.random.default_rng(0), np.zeros([750, 1000, 3], np.float32)
    for octave in range(8):
        noise = random.normal(0, 40 * 0.7**octave, (3 * 2**octave, 4 * 2**octave, 3))
        for channel in range(3):
            coarse = Image.fromarray(noise[..., channel].astype(np.float32))
            tile[..., channel] += np.asarray(coarse.resize((1000, 750), Image.Resampling.BICUBIC))
    return Image.fromarray(np.tile(np.clip(tile + 128, 0, 255).astype(np.uint8), (4, 4, 1)))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_cameras_photo_is_shrunk_while_it_is_decoded(camera_picture, orientation):
    data = turned(camera_picture, orientation, quality=92)

    difference = np.abs(read(data, 224, 224) - read_whole(data, 224, 224))

    assert 0 < difference.mean() < 0.5
    assert np.percentile(difference, 99) < 4
    assert difference.max() < 16


@pytest.mark.parametrize(("side", "exactly"), [(63, True), (64, False), (127, False), (300, False)])
@pytest.mark.parametrize("extra", [0, 1, 13])
def test_only_what_is_four_times_too_large_is_shrunk(side, exactly, extra):
    smooth = PHOTO.resize((side + extra, side), Image.Resampling.BICUBIC)
    data = encode(smooth, "JPEG", quality=95)

    difference = np.abs(read(data) - read_whole(data))

    assert (difference.max() == 0) == exactly
    # The part's edges fall between two shrunk pixels: they move by up to a quarter of one of the
    # result's, which differ from their neighbours by 40 here.
    assert difference.mean() < 0.25 * 40


def test_values_stay_between_0_and_255():
    for seed in range(5):
        noise = np.random.default_rng(seed).choice([0, 255], (61, 47, 3)).astype(np.uint8)
        for name in ("JPEG", "PNG"):
            image = read(encode(Image.fromarray(noise), name), 23, 19)
            assert 0 <= image.min() <= image.max() <= 255.01


def test_it_is_the_same_in_a_data_set():
    function = make_reader(Preparation(12, 20))
    files = [*FILES.values(), jpeg_with(segment(0xE1, exif(7, "II")))]
    images = tf.data.Dataset.from_tensor_slices(files).map(function, num_parallel_calls=2)

    assert images.element_spec.shape == [12, 20, 3]
    for data, image in zip(files, images.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(image, read(data, 12, 20))


def test_a_reader_is_made_once():
    assert make_reader(Preparation(12, 20)) is make_reader(Preparation(12, 20))
    assert make_reader(Preparation(12, 20)) is not make_reader(Preparation(12, 20, max_pixels=9))


@pytest.mark.parametrize(
    "sizes",
    [[(16, 16), (18, 18), (20, 20)], [(16, 16), (40, 40)], [(12, 20), (16, 16)]],
    ids=["one scale", "two scales", "two windows"],
)
@pytest.mark.parametrize("crops", [(CENTER, CENTER, CENTER), (CENTER, SQUASH, PAD)])
def test_several_preparations_are_what_each_is_alone(sizes, crops):
    preparations = [Preparation(*size, crop=crop) for size, crop in zip(sizes, crops, strict=False)]
    together = make_joint_reader(preparations)
    files = [*FILES.values(), encode(picture(120, 90), "JPEG"), turned(picture(90, 170), 6)]
    for data in files:
        images = together(tf.constant(data))
        for image, preparation in zip(images, preparations, strict=True):
            np.testing.assert_array_equal(image, make_reader(preparation)(tf.constant(data)))


TALL = encode(picture(40, 200), "JPEG", quality=90)
"""Of which the part in the middle is read."""


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("width", "height"), [(40, 200), (200, 40), (40, 40), (101, 203)])
def test_a_jpeg_that_is_cut_anywhere_is_refused(width, height, orientation, progressive):
    data = turned(picture(width, height), orientation, progressive=progressive)
    for kept in range(len(data) - 1, 700, -(len(data) // 40)):
        assert "Invalid JPEG data" in refused(data[:kept])


def test_what_follows_a_jpeg_does_not_matter():
    for data in (TALL, turned(picture(200, 40), 8)):
        for more in (b"\0", b"\n\n", bytes(1000), FILES["jpeg"][:-7]):
            np.testing.assert_array_equal(read(data + more), read(data))


@pytest.mark.parametrize("name", FILES)
def test_the_limit_holds_for_every_format(name):
    assert read(FILES[name]).shape == (16, 16, 3)
    message = refused(FILES[name], max_pixels=64 * 48 - 1)
    assert "an image may have at most" in message
    assert "3071" in message and "48 64" in message


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8", b"GIF8", b"Dear diary", encode(PHOTO, "TIFF")]
)
def test_other_formats_are_refused(data):
    assert "not a JPEG, PNG, BMP, GIF or WebP image" in refused(data)


def test_animated_webp_is_refused():
    data = encode(PHOTO, "WEBP", save_all=True, append_images=[PHOTO.rotate(90)])
    assert "an animated WebP image; only still ones are read" in refused(data)
