"""Small copies of images, for people to look at."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from toolkit.data.parts import open_image

SIDE = 256


def thumbnail(file: Path, side: int = SIDE) -> np.ndarray:
    """A small copy for a picture: uint8 [H, W, 3], neither side above `side`, upright."""
    with open_image(file) as content, Image.open(content) as opened:
        opened.draft("RGB", (side, side))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)
