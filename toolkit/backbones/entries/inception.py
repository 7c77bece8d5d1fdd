"""InceptionV3, InceptionResNetV2 and Xception.

https://arxiv.org/abs/1512.00567, https://arxiv.org/abs/1602.07261 and
https://arxiv.org/abs/1610.02357.
"""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _file(folder: str, ending: str, hash_: str) -> PublishedFile:
    filename = f"{folder}_weights_tf_dim_ordering_tf_kernels{ending}.h5"
    return PublishedFile(filename, f"{_HUB}{folder}/{filename}", hash_)


INCEPTION = (
    Backbone(
        name="inceptionv3",
        constructor="keras.applications.InceptionV3",
        input_size=299,
        min_size=75,
        parameters=21_802_784,
        feature_width=2048,
        # The stem's layers have no names of their own: it is in the first mixed block's stage.
        stages=(
            Stage("mixed0"),
            *(Stage(f"mixed{i}", after_layer=f"mixed{i - 1}") for i in range(1, 11)),
        ),
        unfreeze=6,
        normalization="tf",
        weights_notop=_file("inception_v3", "_notop", "bcbd6486424b2319ff4ef7d526e38f63"),
        weights_top=_file("inception_v3", "", "9a0d58056eeedaa3f26cb7ebd46da564"),
        top1=77.9,
        licence="Apache-2.0",
    ),
    Backbone(
        name="inceptionresnetv2",
        constructor="keras.applications.InceptionResNetV2",
        input_size=299,
        min_size=75,
        parameters=54_336_736,
        feature_width=1536,
        stages=(
            Stage("mixed_5b"),
            Stage("block35", after_layer="mixed_5b"),
            Stage("mixed_6a", after_layer="block35_10_ac"),
            Stage("block17", after_layer="mixed_6a"),
            Stage("mixed_7a", after_layer="block17_20_ac"),
            Stage("block8", after_layer="mixed_7a"),
            Stage("conv_7b", first_layer="conv_7b"),
        ),
        unfreeze=3,
        normalization="tf",
        weights_notop=_file("inception_resnet_v2", "_notop", "d19885ff4a710c122648d3b5c3b684e4"),
        weights_top=_file("inception_resnet_v2", "", "e693bd0210a403b3192acc6073ad2e96"),
        top1=80.3,
        licence="Apache-2.0",
    ),
    Backbone(
        name="xception",
        constructor="keras.applications.Xception",
        input_size=299,
        min_size=71,
        parameters=20_861_480,
        feature_width=2048,
        stages=(
            Stage("block1"),
            Stage("block2", first_layer="block2_sepconv1"),
            *(Stage(f"block{i}", first_layer=f"block{i}_sepconv1_act") for i in range(3, 14)),
            Stage("block14", first_layer="block14_sepconv1"),
        ),
        unfreeze=7,
        normalization="tf",
        weights_notop=_file("xception", "_notop", "b0042744bf5b25fce3cb969f33bebb97"),
        weights_top=_file("xception", "", "0a58e3b7378bc2990ea3b43d5981f1f6"),
        top1=79.0,
        licence="MIT",
    ),
)
