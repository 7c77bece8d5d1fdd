"""NASNet (https://arxiv.org/abs/1707.07012)."""

from toolkit.backbones.entry import Backbone, PublishedFile, Stage

_HUB = "https://storage.googleapis.com/tensorflow/keras-applications/nasnet/"


def _nasnet(
    size: str,
    parameters: int,
    feature_width: int,
    *,
    input_size: int,
    cells: int,
    top1: float,
    hash_top: str,
    hash_notop: str,
) -> Backbone:
    """One NASNet: a stem, then three groups of `cells` normal cells at one resolution each."""
    cached = f"nasnet_{size.lower()}"
    hub = f"{_HUB}NASNet-{size.lower()}"
    return Backbone(
        name=f"nasnet{size.lower()}",
        constructor=f"keras.applications.NASNet{size}",
        input_size=input_size,
        min_size=32,
        parameters=parameters,
        feature_width=feature_width,
        stages=(
            Stage("stem"),
            Stage("cells1", after_layer="reduction_concat_stem_2"),
            Stage("cells2", after_layer=f"normal_concat_{cells - 1}"),
            Stage("cells3", after_layer=f"normal_concat_{2 * cells}"),
        ),
        unfreeze=1,
        normalization="tf",
        # Keras caches these files under other names than the hub has.
        weights_notop=PublishedFile(f"{cached}_no_top.h5", f"{hub}-no-top.h5", hash_notop),
        weights_top=PublishedFile(f"{cached}.h5", f"{hub}.h5", hash_top),
        top1=top1,
        licence="Apache-2.0",
    )


NASNET = (
    _nasnet(
        "Mobile",
        4_269_716,
        1056,
        input_size=224,
        cells=4,
        top1=74.4,
        hash_top="020fb642bf7360b370c678b08e0adf61",
        hash_notop="1ed92395b5b598bdda52abe5c0dbfd63",
    ),
    _nasnet(
        "Large",
        84_916_818,
        4032,
        input_size=331,
        cells=6,
        top1=82.5,
        hash_top="11577c9a518f0070763c2b964a382f17",
        hash_notop="d81d89dc07e6e56530c4e77faddd61b5",
    ),
)
