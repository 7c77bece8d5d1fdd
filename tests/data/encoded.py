"""Encoded images for the tests of what reads them."""

import io
import struct

import numpy as np
from PIL import Image

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize(
    (64, 48), Image.Resampling.BICUBIC
)
"""Smooth, of many colours, without any symmetry; 64 wide, 48 high."""


def encode(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


FILES = {
    "jpeg": encode(PHOTO, "JPEG", quality=90),
    "jpeg, no subsampling": encode(PHOTO, "JPEG", quality=95, subsampling=0),
    "jpeg, progressive": encode(PHOTO, "JPEG", progressive=True),
    "jpeg, grey": encode(PHOTO.convert("L"), "JPEG"),
    "jpeg, cmyk": encode(PHOTO.convert("CMYK"), "JPEG"),
    "mpo": encode(PHOTO, "MPO", save_all=True, append_images=[PHOTO.rotate(90)]),
    "png": encode(PHOTO, "PNG"),
    "png, grey": encode(PHOTO.convert("L"), "PNG"),
    "png, black and white": encode(PHOTO.convert("1"), "PNG"),
    "png, palette": encode(PHOTO.quantize(16), "PNG"),
    "png, palette of 256": encode(PHOTO.quantize(256), "PNG"),
    "png, transparent palette": encode(PHOTO.quantize(16), "PNG", transparency=3),
    "png, grey and alpha": encode(PHOTO.convert("LA"), "PNG"),
    "bmp": encode(PHOTO, "BMP"),
    "bmp, grey": encode(PHOTO.convert("L"), "BMP"),
    "bmp, palette": encode(PHOTO.quantize(256), "BMP"),
    "bmp, small palette": encode(PHOTO.quantize(11), "BMP"),
    "bmp, alpha": encode(PHOTO.convert("RGBA"), "BMP"),
    "gif": encode(PHOTO, "GIF"),
    "gif, animated": encode(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(90)]),
    "webp": encode(PHOTO, "WEBP", quality=90),
    "webp, lossless": encode(PHOTO, "WEBP", lossless=True),
    "webp, extended": encode(PHOTO, "WEBP", exif=Image.Exif()),
}


def exif(orientation: int, order: str, kind: int = 3) -> bytes:
    """An EXIF segment's content, after TIFF 6.0; kind 3: SHORT."""
    byte_order = "<" if order == "II" else ">"
    value = struct.pack(byte_order + ("H2x" if kind == 3 else "I"), orientation)
    other = struct.pack(byte_order + "HHI4s", 0x010F, 2, 4, b"Me\0\0")
    entry = struct.pack(byte_order + "HHI", 0x0112, kind, 1) + value
    head = order.encode() + struct.pack(byte_order + "HI", 42, 8)
    return b"Exif\0\0" + head + struct.pack(byte_order + "H", 2) + other + entry + bytes(4)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*segments: bytes, jfif: bool = False) -> bytes:
    data = FILES["jpeg, no subsampling"]
    assert data[2:4] == b"\xff\xe0"
    start = 2 + 2 + int.from_bytes(data[4:6])  # Behind Pillow's JFIF segment.
    return data[: start if jfif else 2] + b"".join(segments) + data[start:]
