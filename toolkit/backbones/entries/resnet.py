"""ResNet (https://arxiv.org/abs/1512.03385) and ResNetV2 (https://arxiv.org/abs/1603.05027)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"


def _resnet(
    title: str, parameters: int, *, top1: float, hash_top: str, hash_notop: str
) -> Backbone:
    name = title.lower()
    second = name.endswith("v2")
    first_layer = "preact_bn" if second else "1_conv"
    kernels = f"{name}_weights_tf_dim_ordering_tf_kernels"
    return Backbone(
        name=name,
        constructor=f"keras.applications.{title}",
        input_size=224,
        min_size=32,
        parameters=parameters,
        feature_width=2048,
        stages=(
            Stage("conv1"),
            *(Stage(f"conv{i}", first_layer=f"conv{i}_block1_{first_layer}") for i in range(2, 6)),
        ),
        # Without conv4, which alone has up to 36 of the 50 blocks.
        unfreeze=1,
        normalization="tf" if second else "caffe",
        weights_notop=PublishedFile(f"{kernels}_notop.h5", f"{_HUB}{kernels}_notop.h5", hash_notop),
        weights_top=PublishedFile(f"{kernels}.h5", f"{_HUB}{kernels}.h5", hash_top),
        top1=top1,
        licence="BSD-3-Clause" if second else "MIT",
    )


RESNET = (
    _resnet(
        "ResNet50",
        23_587_712,
        top1=74.9,
        hash_top="2cb95161c43110f7111970584f804107",
        hash_notop="4d473c1dd8becc155b73f8504c6f6626",
    ),
    _resnet(
        "ResNet101",
        42_658_176,
        top1=76.4,
        hash_top="f1aeb4b969a6efcfb50fad2f0c20cfc5",
        hash_notop="88cf7a10940856eca736dc7b7e228a21",
    ),
    _resnet(
        "ResNet152",
        58_370_944,
        top1=76.6,
        hash_top="100835be76be38e30d865e96f2aaae62",
        hash_notop="ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    _resnet(
        "ResNet50V2",
        23_564_800,
        top1=76.0,
        hash_top="3ef43a0b657b3be2300d5770ece849e0",
        hash_notop="fac2f116257151a9d068a22e544a4917",
    ),
    _resnet(
        "ResNet101V2",
        42_626_560,
        top1=77.2,
        hash_top="6343647c601c52e1368623803854d971",
        hash_notop="c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    _resnet(
        "ResNet152V2",
        58_331_648,
        top1=78.0,
        hash_top="a49b44d1979771252814e80f8ec446f9",
        hash_notop="ed17cf2e0169df9d443503ef94b23b33",
    ),
)
