"""The layout of the `.h5` files that `keras.applications` publishes: Keras' own before version 3.

Each layer is a group, listed in order in the attribute `layer_names`; its attribute
`weight_names` lists its arrays, the trainable ones first.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py


class SavedLayer(NamedTuple):
    """A layer's name and weights in a file.

    The weights have a `shape` and turn into arrays; those of an HDF5 file are read from the disk
    only then, so that a wrong shape is told before anything is allocated.
    """

    name: str
    weights: Sequence[Any]


def is_published_layout(path: Path) -> bool:
    """Whether an HDF5 file has the published layout, not that of Keras 3's `save_weights`.

    Raises:
        OSError: It is no HDF5 file, or a damaged one.
    """
    with h5py.File(path) as file:
        return bool(_names(_root(file), "layer_names"))


@contextlib.contextmanager
def open_published_layout(path: Path) -> Iterator[list[SavedLayer]]:
    """Open a file of the published layout: its layers with weights, in order.

    Raises:
        OSError, KeyError, ValueError: The file is damaged, or refers to another file.
    """
    with h5py.File(path) as file:
        root = _root(file)
        layers = [SavedLayer(name, _weights(root, name)) for name in _names(root, "layer_names")]
        yield [layer for layer in layers if layer.weights]


def _root(file: h5py.File) -> h5py.Group:
    """A whole model's file has its weights one level down."""
    return file.get("model_weights", file)


def _weights(root: h5py.Group, layer: str) -> list[h5py.Dataset]:
    group = root[layer]
    weights = [group[name] for name in _names(group, "weight_names")]
    for dataset in weights:
        # Values from elsewhere on the disk have no place in a file of weights.
        elsewhere = dataset.file.filename != root.file.filename
        if elsewhere or dataset.external or dataset.is_virtual:
            raise ValueError(f"the layer {layer} refers to another file")
    return weights


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names; HDF5 limits an attribute's size, so Keras splits and numbers long lists."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        chunks = []
        while f"{attribute}{len(chunks)}" in group.attrs:
            chunks.append(group.attrs[f"{attribute}{len(chunks)}"])
    names = [name for chunk in chunks for name in chunk]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]
