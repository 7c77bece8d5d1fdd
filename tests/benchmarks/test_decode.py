"""What decoding is compared with: readers of JPEGs alone, which give the same pixels."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import decode
from toolkit.data.prepare import Preparation
from toolkit.data.read import make_reader

SIZE = 24


@pytest.fixture(scope="module")
def files(images):
    return sorted(images.rglob("*.jpg"))[:40]


def test_they_give_the_toolkits_pixels(files):
    reader = make_reader(Preparation(SIZE, SIZE))
    expected = [reader(tf.io.read_file(str(file))).numpy() for file in files]
    batches = decode.bare_operations(files, decode.centred_squares(files), SIZE)
    bare = np.concatenate([np.asarray(batch) for batch in batches])
    # Where a square is cut out, colours at its edge lack their neighbours; OpenCV gives bytes.
    assert np.abs(bare - expected).mean() < 0.5
    opencv = np.stack([decode.read_with_opencv(file, SIZE) for file in files])
    assert np.abs(opencv - expected).mean() < 1


def test_where_there_is_another_format_they_are_left_out(files, tmp_path):
    assert len(decode.readers_of_jpegs(files, SIZE)) == 2
    Image.new("RGB", (30, 30)).save(tmp_path / "other.png")
    assert decode.readers_of_jpegs([*files, tmp_path / "other.png"], SIZE) == {}
