"""MobileNet, MobileNetV2 and MobileNetV3.

https://arxiv.org/abs/1704.04861, https://arxiv.org/abs/1801.04381 and
https://arxiv.org/abs/1905.02244. A stage is the run of blocks of one width, a row of the papers'
tables.
"""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/"
_V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224"


def _stages(*first_layers: str, top: str | None = None) -> tuple[Stage, ...]:
    blocks = (Stage(f"block{i}", first_layer=name) for i, name in enumerate(first_layers, 1))
    return (Stage("stem"), *blocks, *([Stage("top", first_layer=top)] if top else []))


def _v3_file(size: str, ending: str, hash_: str) -> PublishedFile:
    filename = f"weights_mobilenet_v3_{size}_224_1.0_float{ending}.h5"
    return PublishedFile(filename, f"{_HUB}mobilenet_v3/{filename}", hash_)


def _v3_stages(block1: str, *first_blocks: int) -> tuple[Stage, ...]:
    blocks = (f"expanded_conv_{i}_expand" for i in first_blocks)
    return _stages(block1, *blocks, top="conv_1")


MOBILENET = (
    Backbone(
        name="mobilenetv3small",
        constructor="keras.applications.MobileNetV3Small",
        input_size=224,
        min_size=32,
        parameters=939_120,
        feature_width=576,
        # Its first block has stride 2, and so begins with padding.
        stages=_v3_stages("expanded_conv_depthwise_pad", 1, 3, 6, 8),
        unfreeze=3,
        normalization="builtin",
        weights_notop=_v3_file("small", "_no_top_v2", "d3e8ec802a04aa4fc771ee12a9a9b836"),
        weights_top=_v3_file("small", "", "8768d4c2e7dee89b9d02b2d03d65d862"),
        top1=68.1,
        licence="Apache-2.0",
    ),
    Backbone(
        name="mobilenetv3large",
        constructor="keras.applications.MobileNetV3Large",
        input_size=224,
        min_size=32,
        parameters=2_996_352,
        feature_width=960,
        stages=_v3_stages("expanded_conv_depthwise", 1, 3, 6, 10, 12),
        unfreeze=3,
        normalization="builtin",
        weights_notop=_v3_file("large", "_no_top_v2", "07fb09a5933dd0c8eaafa16978110389"),
        weights_top=_v3_file("large", "", "59e551e166be033d707958cf9e29a6a7"),
        top1=75.6,
        licence="Apache-2.0",
    ),
    Backbone(
        name="mobilenet",
        constructor="keras.applications.MobileNet",
        input_size=224,
        min_size=32,
        parameters=3_228_864,
        feature_width=1024,
        stages=_stages("conv_dw_1", "conv_pad_2", "conv_pad_4", "conv_pad_6", "conv_pad_12"),
        unfreeze=2,
        normalization="tf",
        # Keras publishes no hash of MobileNet's and MobileNetV2's files.
        weights_notop=PublishedFile(
            "mobilenet_1_0_224_tf_no_top.h5",
            f"{_HUB}mobilenet/mobilenet_1_0_224_tf_no_top.h5",
            None,
        ),
        weights_top=PublishedFile(
            "mobilenet_1_0_224_tf.h5", f"{_HUB}mobilenet/mobilenet_1_0_224_tf.h5", None
        ),
        top1=70.4,
        licence="Apache-2.0",
    ),
    Backbone(
        name="mobilenetv2",
        constructor="keras.applications.MobileNetV2",
        input_size=224,
        min_size=32,
        parameters=2_257_984,
        feature_width=1280,
        stages=_stages(
            "expanded_conv_depthwise",
            *(f"block_{i}_expand" for i in (1, 3, 6, 10, 13, 16)),
            top="Conv_1",
        ),
        unfreeze=4,
        normalization="tf",
        weights_notop=PublishedFile(
            f"{_V2_FILE}_no_top.h5", f"{_HUB}mobilenet_v2/{_V2_FILE}_no_top.h5", None
        ),
        weights_top=PublishedFile(f"{_V2_FILE}.h5", f"{_HUB}mobilenet_v2/{_V2_FILE}.h5", None),
        top1=71.3,
        licence="Apache-2.0",
    ),
)
