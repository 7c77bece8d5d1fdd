"""Which pretrained networks exist: one table of plain data, and how a name is looked up in it.

Importing this module is cheap: neither numpy nor keras is loaded.
"""

from toolkit.backbones.entries import ENTRIES
from toolkit.backbones.entry import Backbone, PackagedFile, PublishedFile, Stage
from toolkit.errors import UnknownNameError

__all__ = ["BACKBONES", "Backbone", "PackagedFile", "PublishedFile", "Stage", "find"]

BACKBONES: dict[str, Backbone] = {entry.name: entry for entry in ENTRIES}
"""Every network by its name, families side by side, each from small to large."""

_SEPARATORS = str.maketrans("", "", "-_ ")


def find(name: str) -> Backbone:
    """The network of this name.

    Args:
        name: In any case, with or without "-", "_" and spaces: "resnet50" is also "ResNet-50".

    Raises:
        UnknownNameError: There is none; the message has the nearest names.

    Example:
        >>> find("ResNet-50").feature_width
        2048
    """
    by_plain_name = {_plain(known): backbone for known, backbone in BACKBONES.items()}
    backbone = by_plain_name.get(_plain(name))
    if backbone is None:
        raise UnknownNameError("backbone", name, BACKBONES, "`toolkit backbones` lists them.")
    return backbone


def _plain(name: str) -> str:
    return name.lower().translate(_SEPARATORS)
