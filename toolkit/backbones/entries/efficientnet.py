"""EfficientNet (https://arxiv.org/abs/1905.11946)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/keras-applications/"


def _efficientnet(
    size: str,
    parameters: int,
    feature_width: int,
    *,
    input_size: int,
    top1: float,
    hash_top: str,
    hash_notop: str,
) -> Backbone:
    name = f"efficientnet{size.lower()}"
    return Backbone(
        name=name,
        constructor=f"keras.applications.EfficientNet{size}",
        input_size=input_size,
        min_size=32,
        parameters=parameters,
        feature_width=feature_width,
        stages=(
            Stage("stem"),
            Stage("block1", first_layer="block1a_dwconv"),
            *(Stage(f"block{i}", first_layer=f"block{i}a_expand_conv") for i in range(2, 8)),
            Stage("top", first_layer="top_conv"),
        ),
        unfreeze=4,
        normalization="efficientnet",
        weights_notop=PublishedFile(f"{name}_notop.h5", f"{_HUB}{name}_notop.h5", hash_notop),
        weights_top=PublishedFile(f"{name}.h5", f"{_HUB}{name}.h5", hash_top),
        top1=top1,
        licence="Apache-2.0",
    )


EFFICIENTNET = (
    _efficientnet(
        "B0",
        4_049_571,
        1280,
        input_size=224,
        top1=77.1,
        hash_top="902e53a9f72be733fc0bcb005b3ebbac",
        hash_notop="50bc09e76180e00e4465e1a485ddc09d",
    ),
    _efficientnet(
        "B1",
        6_575_239,
        1280,
        input_size=240,
        top1=79.1,
        hash_top="1d254153d4ab51201f1646940f018540",
        hash_notop="74c4e6b3e1f6a1eea24c589628592432",
    ),
    _efficientnet(
        "B2",
        7_768_569,
        1408,
        input_size=260,
        top1=80.1,
        hash_top="b15cce36ff4dcbd00b6dd88e7857a6ad",
        hash_notop="111f8e2ac8aa800a7a99e3239f7bfb39",
    ),
    _efficientnet(
        "B3",
        10_783_535,
        1536,
        input_size=300,
        top1=81.6,
        hash_top="ffd1fdc53d0ce67064dc6a9c7960ede0",
        hash_notop="af6d107764bb5b1abb91932881670226",
    ),
    _efficientnet(
        "B4",
        17_673_823,
        1792,
        input_size=380,
        top1=82.9,
        hash_top="18c95ad55216b8f92d7e70b3a046e2fc",
        hash_notop="ebc24e6d6c33eaebbd558eafbeedf1ba",
    ),
    _efficientnet(
        "B5",
        28_513_527,
        2048,
        input_size=456,
        top1=83.6,
        hash_top="ace28f2a6363774853a83a0b21b9421a",
        hash_notop="38879255a25d3c92d5e44e04ae6cec6f",
    ),
    _efficientnet(
        "B6",
        40_960_143,
        2304,
        input_size=528,
        top1=84.0,
        hash_top="165f6e37dce68623721b423839de8be5",
        hash_notop="9ecce42647a20130c1f39a5d4cb75743",
    ),
    _efficientnet(
        "B7",
        64_097_687,
        2560,
        input_size=600,
        top1=84.3,
        hash_top="8c03f828fec3ef71311cd463b6759d99",
        hash_notop="cbcfe4450ddf6f3ad90b1b398090fe4a",
    ),
)
