"""Where a backbone's weights come from: package, Keras' cache, own mirror, public hub, or a file.

Importing this module is cheap: arrays and networks are imported when weights are read.
"""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.backbones.entry import Backbone, PackagedFile, PublishedFile
from toolkit.backbones.weights_errors import WeightsFileError, WeightsPackageError
from toolkit.backbones.weights_published import (
    digest,
    find_published,
    hash_problem,
    keras_models_folder,
    mirror_url,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class WeightsOrigin:
    """Where the weights of a model came from, as a run records it.

    Attributes:
        source: "random", "file", "package NAME VERSION", "Keras cache", "mirror URL" or
            "public hub".
        path: The file's absolute path, None for random weights.
        sha256: The file's SHA-256 as hex digits, None for random weights.
    """

    source: str
    path: str | None
    sha256: str | None


def load_weights(
    model: "keras.Model",
    backbone: Backbone,
    weights: str | Path,
    *,
    classification_layer: bool,
    mirror: str | None = None,
) -> WeightsOrigin:
    """Give a freshly built model its weights.

    "imagenet" is looked for in the backbone's package or, for a network of `keras.applications`,
    in Keras' cache (`~/.keras/models`, moved by `KERAS_HOME`), then on an own mirror, then on the
    public hub. A file is used only if it has its published hash; where none is published, a
    warning says so. Downloads are kept in Keras' cache.

    Args:
        model: The network as the backbone is built: its layers in its own order, with nothing
            but layers without variables before it.
        backbone: The network's entry in the registry.
        weights: "imagenet", "random", or the path of a `.keras`, `.weights.h5` or `.h5` file.
        classification_layer: Whether the model ends in its 1,000 ImageNet classes.
        mirror: Base URL of a plain web server that has files of the published names; by default
            the environment variable `TOOLKIT_WEIGHTS_MIRROR`, if it is set.

    Returns:
        Where the weights came from. "random" leaves the model as it is.

    Raises:
        OptionError: `weights` is no file, or `mirror` no `http://` or `https://` URL.
        WeightsNotFoundError: The ImageNet weights are in none of the places.
        WeightsPackageError: The package that carries the ImageNet weights is not installed.
        WeightsFileError: The file is damaged or of another network. The model may then hold
            some of the file's weights: discard it.

    Example:
        >>> load_weights(model, find("resnet50"), "imagenet", classification_layer=False)
        ... # doctest: +SKIP
        WeightsOrigin(source='Keras cache', path='/home/ann/.keras/models/resnet50_...', ...)
    """
    if weights == "random":
        return WeightsOrigin("random", None, None)
    if weights != "imagenet":
        return _load_file(model, backbone, Path(weights), "file", classification_layer)
    file = _weights_file(backbone, classification_layer)
    if isinstance(file, PackagedFile):
        return _load_packaged(model, backbone, file)
    source, path = find_published(backbone.name, file, mirror_url(mirror))
    return _load_file(model, backbone, path, source, classification_layer)


def available_offline(backbone: Backbone, classification_layer: bool = False) -> str | None:
    """Whether a backbone's ImageNet weights are on this machine; looks, but does not check them.

    Args:
        backbone: The network's entry in the registry.
        classification_layer: Whether the weights with the 1,000 ImageNet classes are meant.

    Returns:
        "packaged", "cached", or None when they would have to be downloaded or installed.

    Example:
        >>> available_offline(find("efficientnet-lite0"))  # doctest: +SKIP
        'packaged'
    """
    file = _weights_file(backbone, classification_layer)
    if isinstance(file, PackagedFile):
        return "packaged" if importlib.util.find_spec(file.package) else None
    return "cached" if (keras_models_folder() / file.filename).is_file() else None


def _weights_file(backbone: Backbone, classification_layer: bool) -> PublishedFile | PackagedFile:
    return backbone.weights_top if classification_layer else backbone.weights_notop


def _load_file(
    model: "keras.Model", backbone: Backbone, path: Path, source: str, classification_layer: bool
) -> WeightsOrigin:
    from toolkit.backbones.weights_file import load_weights_file

    load_weights_file(model, path, name=backbone.name, classification_layer=classification_layer)
    return WeightsOrigin(source, str(path.absolute()), digest(path, "sha256"))


def _load_packaged(model: "keras.Model", backbone: Backbone, file: PackagedFile) -> WeightsOrigin:
    from toolkit.backbones.efficientnet_lite import assign_torch_weights
    from toolkit.backbones.torch_file import read_torch_file

    if importlib.util.find_spec(file.package) is None:
        raise WeightsPackageError(backbone.name, file.distribution)
    path = file.path()
    if problem := hash_problem(path, file.sha256):
        raise WeightsFileError(path, f"{problem}; install {file.distribution} again")
    assign_torch_weights(model, read_torch_file(path))
    version = importlib.metadata.version(file.distribution)
    return WeightsOrigin(f"package {file.distribution} {version}", str(path), file.sha256)
