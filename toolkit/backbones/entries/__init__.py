"""The registry's rows, one module a family: accuracy, licence, weights and stages as published.

Accuracies are ImageNet top-1 of a single centre crop as Keras publishes them
(https://keras.io/api/applications), or the family's own authors where Keras gives none. Hashes
are those in Keras' source. Parameters are those of the network without classification layer,
BatchNorm's statistics included, as `keras.Model.count_params` has them.
"""

from toolkit.backbones.entries.convnext import CONVNEXT
from toolkit.backbones.entries.densenet import DENSENET
from toolkit.backbones.entries.efficientnet import EFFICIENTNET
from toolkit.backbones.entries.efficientnet_lite import EFFICIENTNET_LITE
from toolkit.backbones.entries.efficientnet_v2 import EFFICIENTNET_V2
from toolkit.backbones.entries.inception import INCEPTION
from toolkit.backbones.entries.mobilenet import MOBILENET
from toolkit.backbones.entries.nasnet import NASNET
from toolkit.backbones.entries.resnet import RESNET
from toolkit.backbones.entries.vgg import VGG

__all__ = ["ENTRIES"]

ENTRIES = (
    *EFFICIENTNET_LITE,
    *MOBILENET,
    *EFFICIENTNET,
    *EFFICIENTNET_V2,
    *RESNET,
    *DENSENET,
    *CONVNEXT,
    *INCEPTION,
    *NASNET,
    *VGG,
)
