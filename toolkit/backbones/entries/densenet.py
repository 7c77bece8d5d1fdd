"""DenseNet (https://arxiv.org/abs/1608.06993)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/densenet/"


def _densenet(
    title: str,
    parameters: int,
    feature_width: int,
    *,
    top1: float,
    hash_top: str,
    hash_notop: str,
) -> Backbone:
    name = title.lower()
    kernels = f"{name}_weights_tf_dim_ordering_tf_kernels"
    return Backbone(
        name=name,
        constructor=f"keras.applications.{title}",
        input_size=224,
        min_size=32,
        parameters=parameters,
        feature_width=feature_width,
        # A stage takes the transition (pool2, pool3, pool4) that follows its dense blocks.
        stages=(
            Stage("conv1"),
            *(Stage(f"conv{i}", first_layer=f"conv{i}_block1_0_bn") for i in range(2, 6)),
        ),
        unfreeze=1,
        normalization="torch",
        weights_notop=PublishedFile(f"{kernels}_notop.h5", f"{_HUB}{kernels}_notop.h5", hash_notop),
        weights_top=PublishedFile(f"{kernels}.h5", f"{_HUB}{kernels}.h5", hash_top),
        top1=top1,
        licence="BSD-3-Clause",
    )


DENSENET = (
    _densenet(
        "DenseNet121",
        7_037_504,
        1024,
        top1=75.0,
        hash_top="9d60b8095a5708f2dcce2bca79d332c7",
        hash_notop="30ee3e1110167f948a6b9946edeeb738",
    ),
    _densenet(
        "DenseNet169",
        12_642_880,
        1664,
        top1=76.2,
        hash_top="d699b8f76981ab1b30698df4c175e90b",
        hash_notop="b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    _densenet(
        "DenseNet201",
        18_321_984,
        1920,
        top1=77.3,
        hash_top="1ceb130c1ea1b78c3bf6114dbdfd8807",
        hash_notop="c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
)
