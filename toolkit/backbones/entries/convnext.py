"""ConvNeXt (https://arxiv.org/abs/2201.03545)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/convnext/"


def _convnext(
    size: str,
    parameters: int,
    feature_width: int,
    *,
    top1: float,
    hash_top: str,
    hash_notop: str,
) -> Backbone:
    prefix = f"convnext_{size.lower()}"
    return Backbone(
        name=f"convnext{size.lower()}",
        constructor=f"keras.applications.ConvNeXt{size}",
        input_size=224,
        min_size=32,
        parameters=parameters,
        feature_width=feature_width,
        stages=(
            Stage("stem"),
            Stage("stage_0", first_layer=f"{prefix}_stage_0_block_0_depthwise_conv"),
            *(
                Stage(f"stage_{i}", first_layer=f"{prefix}_downsampling_block_{i - 1}")
                for i in range(1, 4)
            ),
        ),
        # stage_2 has half the blocks or more: with it, two thirds of the layers would train.
        unfreeze=1,
        normalization="builtin",
        weights_notop=PublishedFile(f"{prefix}_notop.h5", f"{_HUB}{prefix}_notop.h5", hash_notop),
        weights_top=PublishedFile(f"{prefix}.h5", f"{_HUB}{prefix}.h5", hash_top),
        top1=top1,
        licence="MIT",
    )


CONVNEXT = (
    _convnext(
        "Tiny",
        27_820_128,
        768,
        top1=81.3,
        hash_top="8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        hash_notop="d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    _convnext(
        "Small",
        49_454_688,
        768,
        top1=82.3,
        hash_top="ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        hash_notop="6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    _convnext(
        "Base",
        87_566_464,
        1024,
        top1=85.3,
        hash_top="52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        hash_notop="40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    _convnext(
        "Large",
        196_230_336,
        1536,
        top1=86.3,
        hash_top="070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        hash_notop="96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    _convnext(
        "XLarge",
        348_147_968,
        2048,
        top1=86.7,
        hash_top="c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        hash_notop="de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
)
