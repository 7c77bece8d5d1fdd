"""VGG16 and VGG19 (https://arxiv.org/abs/1409.1556)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _vgg(title: str, parameters: int, *, top1: float, hash_top: str, hash_notop: str) -> Backbone:
    name = title.lower()
    kernels = f"{name}_weights_tf_dim_ordering_tf_kernels"
    return Backbone(
        name=name,
        constructor=f"keras.applications.{title}",
        input_size=224,
        min_size=32,
        parameters=parameters,
        feature_width=512,
        stages=(
            Stage("block1"),
            *(Stage(f"block{i}", first_layer=f"block{i}_conv1") for i in range(2, 6)),
        ),
        unfreeze=2,
        normalization="caffe",
        weights_notop=PublishedFile(
            f"{kernels}_notop.h5", f"{_HUB}{name}/{kernels}_notop.h5", hash_notop
        ),
        weights_top=PublishedFile(f"{kernels}.h5", f"{_HUB}{name}/{kernels}.h5", hash_top),
        top1=top1,
        licence="CC-BY-4.0",
    )


VGG = (
    _vgg(
        "VGG16",
        14_714_688,
        top1=71.3,
        hash_top="64373286793e3c8b2b4e3219cbf3544b",
        hash_notop="6d6bbae143d832006294945121d1f1fc",
    ),
    _vgg(
        "VGG19",
        20_024_384,
        top1=71.3,
        hash_top="cbe5617147190e668d6c5d5026f83318",
        hash_notop="253f8cb515780f3b799900260a226db6",
    ),
)
