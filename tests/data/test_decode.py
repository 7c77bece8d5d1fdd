import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.data.encoded import FILES, PHOTO, encode, exif, jpeg_with, segment
from toolkit.data.decode import make_decoder
from toolkit.data.exif import exif_orientation
from toolkit.data.orientation import read_orientation

DECODE = make_decoder()
COMPILED = tf.function(DECODE, input_signature=[tf.TensorSpec([], tf.string)])


def decode(data: bytes) -> np.ndarray:
    image = COMPILED(tf.constant(data)).numpy()
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    return image


def pillows(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def assert_like_pillow(data: bytes, most: int = 1) -> None:
    difference = np.abs(decode(data).astype(int) - pillows(data))
    assert difference.max() <= most


def refused(data: bytes) -> str:
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        COMPILED(tf.constant(data))
    return str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_pillows(name):
    assert_like_pillow(FILES[name])


def test_eager_and_compiled_and_in_a_data_set_are_the_same():
    files = [*FILES.values(), jpeg_with(segment(0xE1, exif(7, "II")))]
    images = tf.data.Dataset.from_tensor_slices(files).map(DECODE, num_parallel_calls=2)

    for data, image in zip(files, images.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(DECODE(tf.constant(data)), decode(data))
        np.testing.assert_array_equal(image, decode(data))


@pytest.mark.parametrize("data", [b"", b"Dear diary", FILES["jpeg"][:900], FILES["png"][:900]])
def test_damage_raises_eagerly_and_in_a_data_set(data):
    images = tf.data.Dataset.from_tensors(data).map(DECODE)
    for read in (lambda: DECODE(tf.constant(data)), lambda: next(images.as_numpy_iterator())):
        with pytest.raises(tf.errors.InvalidArgumentError):
            read()


def _alpha() -> Image.Image:
    image = PHOTO.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(PHOTO.size))
    return image


@pytest.mark.parametrize(
    ("name", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("WEBP", {"quality": 95})],
)
def test_alpha_is_dropped(name, options):
    data = encode(_alpha(), name, **options)
    opaque = np.asarray(_alpha())[..., 3] > 200  # A lossy WebP leaves out what is not seen.

    got = decode(data).astype(int)

    assert np.abs(got - pillows(data))[opaque].max() <= 1
    if name == "PNG":
        np.testing.assert_array_equal(got, np.asarray(PHOTO))


def _png(kind: int, bits: int, rows: np.ndarray) -> bytes:
    """A PNG straight from its specification; rows: uint8 [H, bytes of a row]."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    width = rows.shape[1] * 8 // bits // channels
    size = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    lines = np.pad(rows, [(0, 0), (1, 0)]).tobytes()  # Each behind its filter: none.
    chunks = (b"IHDR", size), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


@pytest.mark.parametrize("kind", [0, 2, 4, 6])  # Grey, RGB, grey and alpha, RGB and alpha.
def test_sixteen_bits_become_eight(kind):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    values = np.random.default_rng(kind).integers(0, 65536, (12, 10, channels))
    data = _png(kind, 16, values.astype(">u2").view(np.uint8).reshape(12, -1))

    colours = values[..., :3] if channels > 2 else values[..., :1].repeat(3, -1)
    assert np.abs(decode(data) - colours / 257).max() <= 1


def test_cmyk_as_photoshop_writes_it_is_inverted():
    # Pillow writes and reads CMYK inverted, with Adobe's marker; plain values come without it.
    adobe = FILES["jpeg, cmyk"]
    at = adobe.index(b"\xff\xee")
    length = int.from_bytes(adobe[at + 2 : at + 4])
    plain = adobe[:at] + adobe[at + 2 + length :]

    assert b"Adobe" in adobe and b"Adobe" not in plain
    with Image.open(io.BytesIO(adobe)) as image:
        c, m, y, k = np.moveaxis(np.asarray(image).astype(float), -1, 0)
    reference = np.stack([(255 - ink) * (255 - k) / 255 for ink in (c, m, y)], -1)
    assert np.abs(decode(adobe) - reference).max() <= 2
    # Without the marker the same bytes mean the opposite amount of ink.
    opposite = np.stack([ink * k / 255 for ink in (c, m, y)], -1)
    assert np.abs(decode(plain) - opposite).max() <= 2


def test_a_bmp_may_be_written_from_the_top():
    data = bytearray(FILES["bmp"])
    row = 64 * 3
    pixels = np.frombuffer(data[54:], np.uint8).reshape(48, row)[::-1]
    data[22:26] = struct.pack("<i", -48)
    data[54:] = pixels.tobytes()

    np.testing.assert_array_equal(decode(bytes(data)), np.asarray(PHOTO))


def test_the_first_frame_of_an_animation_is_taken():
    np.testing.assert_array_equal(decode(FILES["gif, animated"]), decode(FILES["gif"]))


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_pillows(orientation, order):
    data = jpeg_with(segment(0xE1, exif(orientation, order)))

    assert read_orientation(io.BytesIO(data)) == orientation
    assert decode(data).shape == ((64, 48, 3) if orientation >= 5 else (48, 64, 3))
    assert_like_pillow(data)


@pytest.mark.parametrize(
    ("before", "jfif"),
    [
        ([], True),
        ([segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>" + bytes(100))], False),
        ([segment(0xE2, b"ICC_PROFILE\0" + bytes(3000)), segment(0xFE, b"a comment")], True),
        ([segment(0xED, b"Photoshop 3.0\0" + bytes(60_000))], True),
        ([segment(0xED, bytes(60_000)), segment(0xE2, bytes(60_000))], True),
    ],
)
def test_other_segments_may_come_before_exif(before, jfif):
    data = jpeg_with(*before, segment(0xE1, exif(6, "MM")), jfif=jfif)

    assert read_orientation(io.BytesIO(data)) == 6
    assert decode(data).shape == (64, 48, 3)
    assert_like_pillow(data)


@pytest.mark.parametrize(
    "content",
    [
        exif(0, "II"),
        exif(9, "MM"),
        exif(6, "II")[:20],
        b"Exif\0\0",
        b"Exif\0\0XX" + exif(6, "II")[8:10] + b"\xff" * 40,
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\x7f\xff\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(9),
    ],
)
def test_damaged_exif_is_ignored(content):
    data = jpeg_with(segment(0xE1, content))

    assert read_orientation(io.BytesIO(data)) == 1
    np.testing.assert_array_equal(decode(data), decode(FILES["jpeg, no subsampling"]))


def test_no_header_stops_the_search_for_an_orientation():
    random = np.random.default_rng(0)
    whole = jpeg_with(segment(0xE1, exif(6, "MM")))
    find = tf.function(exif_orientation, input_signature=[tf.TensorSpec([], tf.string)])
    found = set()
    for _ in range(200):
        header = bytearray(whole[: random.integers(70, 400)])
        for place in random.integers(2, 60, 3):
            header[place] = random.integers(256)
        found.add(int(find(bytes(header))))
        assert read_orientation(io.BytesIO(header)) == int(find(bytes(header)))
    assert {1, 6} <= found <= set(range(1, 9))


@pytest.mark.parametrize("data", [b"Exif\0\0", b"\xff\xd8\xffExif\0\0", b"\xff\xd8\xff" + bytes(9)])
def test_the_shortest_headers_have_no_orientation(data):
    assert exif_orientation(tf.constant(data)) == 1
    assert read_orientation(io.BytesIO(data)) == 1


@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("start", [0, 100, (1 << 17) - 200, 1 << 17])
def test_scan_and_graph_find_the_same_orientation(start, order, kind):
    content = exif(6, order, kind)
    comments = [segment(0xFE, bytes(size)) for size in _split(start)]
    data = jpeg_with(*comments, segment(0xE1, content), segment(0xE1, exif(3, "II")))
    assert read_orientation(io.BytesIO(data)) == exif_orientation(tf.constant(data))


def _split(size: int) -> list[int]:
    """A size in parts that each fit into a segment."""
    return [min(60_000, size - start) for start in range(0, size, 60_000)]


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("name", [n for n in FILES if n != "webp, extended"])
def test_a_file_that_is_cut_short_is_refused(name, kept):
    data = FILES[name]
    if name == "mpo":  # Its first picture must be cut.
        data = FILES["jpeg"]
    elif name == "gif, animated":
        kept /= 3
    refused(data[: int(kept * len(data))])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xd8\xff",
        b"Dear diary",
        encode(PHOTO, "TIFF"),
        b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(99),
        b"\xff\x0a" + bytes(99),
        b"RIFF\x64\0\0\0WAVEfmt " + bytes(99),
        encode(PHOTO, "PPM"),
        encode(PHOTO, "ICO"),
    ],
)
def test_other_formats_are_refused(data):
    message = refused(data)
    if data[:2] != b"\xff\xd8":
        assert "not a JPEG, PNG, BMP, GIF or WebP image" in message


@pytest.fixture(scope="module")
def limited():
    """Decoders that admit just the photo, and one pixel less."""
    return [tf.function(make_decoder(64 * 48 - less)) for less in (0, 1)]


@pytest.mark.parametrize("name", FILES)
def test_the_limit_holds_for_every_format(name, limited):
    just, under = limited

    assert just(tf.constant(FILES[name])).shape == (48, 64, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at most[\s\S]*3071[\s\S]*48[ ,]+64"):
        under(tf.constant(FILES[name]))


@pytest.mark.parametrize(
    "header",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 20_000, 20_000),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 2**31 - 1, 2**31 - 1),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 2**32 - 1, 1),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 2**32 - 1, 2**32 - 1),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 0, 5),
        b"GIF89a" + struct.pack("<HH", 65535, 65535),
        b"BM" + bytes(16) + struct.pack("<ii", 20_000, -20_000),
        b"BM" + bytes(16) + struct.pack("<ii", 5, -(2**31)),
        b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383),
        b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 2**28 - 1),
        b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6,
    ],
)
def test_no_more_than_the_header_of_a_huge_image_is_read(header):
    # Nothing follows the sizes: only they can be why it is refused.
    message = refused(header)
    assert "at most" in message or "not a JPEG" in message


def test_a_huge_jpeg_is_refused_by_its_header():
    data = bytearray(FILES["jpeg"])
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)

    assert "at most" in refused(bytes(data))


def test_animated_webp_is_refused_by_the_decoder():
    # Of three and of four channels: with the latter, TensorFlow would read it.
    for image in (PHOTO, _alpha()):
        data = encode(image, "WEBP", save_all=True, append_images=[image.rotate(90)])
        assert "only still ones" in refused(data)
