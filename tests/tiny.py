"""A network of a few layers, for tests in which it does not matter what a network sees.

Fine-tuning it gains nothing on the tests' images, so what is kept is its probe: tests of what
training leaves behind need a real network.
"""

from tests.conftest import SMALL
from toolkit.backbones.entry import Backbone, PublishedFile, Stage

NAME = "tiny"
TINY = {**SMALL, "backbone": NAME, "weights": "random", "engine": "keras"}
"""Options of a run of a second or two."""


def network(x, *, include_top=False):
    """Normalized images, [N, H, W, 3], to pooled features [N, 32]."""
    from keras import layers  # Only now: the command line imports TensorFlow in its own way.

    for stage, filters in (("stem", 8), ("middle", 16), ("top", 32)):
        x = layers.Conv2D(filters, 3, 2, padding="same", use_bias=False, name=f"{stage}_conv")(x)
        x = layers.BatchNormalization(name=f"{stage}_bn")(x)
        x = layers.ReLU(name=f"{stage}_activation")(x)
    return layers.GlobalAveragePooling2D(name="avg_pool")(x)


NOWHERE = PublishedFile("tiny.h5", "http://127.0.0.1:9/tiny.h5", None)
ENTRY = Backbone(
    name=NAME,
    constructor="tests.tiny.network",
    input_size=32,
    min_size=8,
    parameters=6_200,
    feature_width=32,
    stages=(
        Stage("stem"),
        Stage("middle", first_layer="middle_conv"),
        Stage("top", first_layer="top_conv"),
    ),
    unfreeze=2,
    normalization="lite",
    weights_notop=NOWHERE,
    weights_top=NOWHERE,
    top1=None,
    licence="Apache-2.0",
)
