"""EfficientNetV2 (https://arxiv.org/abs/2104.00298)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/"


def _efficientnet_v2(
    size: str,
    parameters: int,
    feature_width: int,
    *,
    input_size: int,
    groups: int,
    top1: float,
    hash_top: str,
    hash_notop: str,
) -> Backbone:
    file = f"efficientnetv2-{size.lower()}"
    return Backbone(
        name=f"efficientnetv2{size.lower()}",
        constructor=f"keras.applications.EfficientNetV2{size}",
        input_size=input_size,
        min_size=32,
        parameters=parameters,
        feature_width=feature_width,
        stages=(
            Stage("stem"),
            Stage("block1", first_layer="block1a_project_conv"),
            *(
                Stage(f"block{i}", first_layer=f"block{i}a_expand_conv")
                for i in range(2, groups + 1)
            ),
            Stage("top", first_layer="top_conv"),
        ),
        # From block6 up: the group before it would make it two thirds of the layers.
        unfreeze=groups - 4,
        normalization="builtin",
        weights_notop=PublishedFile(f"{file}_notop.h5", f"{_HUB}{file}_notop.h5", hash_notop),
        weights_top=PublishedFile(f"{file}.h5", f"{_HUB}{file}.h5", hash_top),
        top1=top1,
        licence="Apache-2.0",
    )


EFFICIENTNET_V2 = (
    _efficientnet_v2(
        "B0",
        5_919_312,
        1280,
        input_size=224,
        groups=6,
        top1=78.7,
        hash_top="21ecbf6da12460d5c40bb2f29ceb2188",
        hash_notop="893217f2bb855e2983157299931e43ff",
    ),
    _efficientnet_v2(
        "B1",
        6_931_124,
        1280,
        input_size=240,
        groups=6,
        top1=79.8,
        hash_top="069f0534ff22adf035c89e2d9547a9dc",
        hash_notop="0e80663031ca32d657f9caa404b6ec37",
    ),
    _efficientnet_v2(
        "B2",
        8_769_374,
        1408,
        input_size=260,
        groups=6,
        top1=80.5,
        hash_top="424e49f28180edbde1e94797771950a7",
        hash_notop="1dfe2e7a5d45b6632553a8961ea609eb",
    ),
    _efficientnet_v2(
        "B3",
        12_930_622,
        1536,
        input_size=300,
        groups=6,
        top1=82.0,
        hash_top="1f1fc43bd98a6e4fd8fdfd551e02c7a0",
        hash_notop="f6abf7b5849ac99a89b50dd3fd532856",
    ),
    _efficientnet_v2(
        "S",
        20_331_360,
        1280,
        input_size=384,
        groups=6,
        top1=83.9,
        hash_top="e1d88a8495beba45748fedd0cecbe016",
        hash_notop="af0682fb74e8c54910f2d4393339c070",
    ),
    _efficientnet_v2(
        "M",
        53_150_388,
        1280,
        input_size=480,
        groups=7,
        top1=85.3,
        hash_top="a3bf6aa3276309f4fc6a34aa114c95cd",
        hash_notop="1b8dc055df72dde80d614482840fe342",
    ),
    _efficientnet_v2(
        "L",
        117_746_848,
        1280,
        input_size=480,
        groups=7,
        top1=85.7,
        hash_top="27e6d408b53c7ebc868fefa357689935",
        hash_notop="b0b66b5c863aef5b46e8608fe1711615",
    ),
)
