"""EfficientNet-Lite with its published weights on ImageNet photos.

Needs a folder of photos whose `labels.csv` has the columns `file` and `imagenet_index`; set
TOOLKIT_TEST_PHOTOS to it.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from toolkit.backbones import build
from toolkit.data.prepare import Preparation
from toolkit.data.read import make_reader

pytestmark = pytest.mark.skipif(
    "TOOLKIT_TEST_PHOTOS" not in os.environ, reason="TOOLKIT_TEST_PHOTOS is not set"
)


@pytest.mark.parametrize(
    ("name", "least"),
    [("efficientnet-lite0", 0.89), ("efficientnet-lite1", 0.88), ("efficientnet-lite2", 0.88)],
)
def test_top1_accuracy_of_the_published_weights(name, least):
    folder = Path(os.environ["TOOLKIT_TEST_PHOTOS"])
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    model = build(name, classification_layer=True)
    size = model.input_shape[1]
    read = make_reader(Preparation(size, size))
    pixels = np.stack([read(tf.io.read_file(str(folder / row["file"]))) for row in rows])

    probabilities = model.predict(pixels, verbose=0)

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    right = probabilities.argmax(axis=1) == [int(row["imagenet_index"]) for row in rows]
    assert right.mean() >= least, f"{right.mean():.4f} of {len(rows)} photos"
