"""Puts the weights of a Keras file into a network: `.keras`, `.weights.h5` or a published `.h5`.

A `.weights.h5` is read by Keras itself. The other two are compared with the network layer by
layer before anything is assigned, so that a file of another network is told by the first layer
that differs.
"""

import contextlib
import itertools
import re
import textwrap
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.backbones.weights_errors import WeightsFileError
from toolkit.backbones.weights_layout import (
    SavedLayer,
    is_published_layout,
    open_published_layout,
)
from toolkit.errors import OptionError

# What h5py, zipfile and Keras are known to raise on damaged files and on other networks' files.
_UNREADABLE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)


def load_weights_file(
    model: keras.Model, path: Path, *, name: str, classification_layer: bool
) -> None:
    """Load a file of weights into a network that was just built.

    Without a classification layer in the model, what the file has after the network is left out:
    a `.keras` file may hold a classifier with any head, and a `.h5` file may be the full one that
    `keras.applications` publishes. No code in a file is run.

    Args:
        model: The network; layers without variables may stand before it.
        path: A `.keras`, `.weights.h5` or `.h5` file.
        name: The backbone's name, for messages.
        classification_layer: Whether the model ends in its classification layer; the file must
            end with it then.

    Raises:
        OptionError: There is no such file, or its name has another ending.
        WeightsFileError: The file cannot be read, or is of another network. A `.weights.h5` may
            then be loaded in part: discard the model.

    Example:
        >>> load_weights_file(model, Path("resnet50_notop.h5"), name="resnet50",
        ...                   classification_layer=False)  # doctest: +SKIP
    """
    if path.suffix not in (".keras", ".h5") or not path.is_file():
        rule = "imagenet, random, or an existing .keras, .weights.h5 or .h5 file"
        raise OptionError("weights", rule, str(path))
    target = _Target(model, path, name, classification_layer)
    with _telling_damage(path):
        if path.suffix == ".keras":
            target.load_keras()
        elif is_published_layout(path):
            target.load_published()
        else:
            target.load_weights_h5()


@contextlib.contextmanager
def _telling_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        reason = textwrap.shorten(str(error).strip("'\""), 200, placeholder=" ...")
        raise WeightsFileError(path, f"it is damaged or no such file: {reason}") from error


class _Target:
    """The network to be loaded, and what its messages need."""

    def __init__(
        self, model: keras.Model, path: Path, name: str, classification_layer: bool
    ) -> None:
        self.model = model
        self.path = path
        self.name = name
        self.classification_layer = classification_layer

    def load_keras(self) -> None:
        source = keras.saving.load_model(self.path, compile=False, safe_mode=True)
        saved = [SavedLayer(layer.name, layer.weights) for layer in _layers(source)]
        self._assign(saved[self._start(saved) :], lambda layer: layer.weights)

    def load_published(self) -> None:
        # In order, as Keras does: names that Keras gives by itself differ between processes.
        with open_published_layout(self.path) as saved:
            self._assign(saved, _published_order)

    def load_weights_h5(self) -> None:
        if not self.path.name.endswith(".weights.h5"):
            raise self._refusal("the name of a file from Keras' save_weights ends in .weights.h5")
        # Keras only warns of some layers that it could not load: that is not enough here.
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            try:
                self.model.load_weights(self.path)
            except ValueError as error:
                first = re.search(r"for object <\w+ name=([^,>]+)", str(error))
                if not first:
                    raise
                raise self._refusal(self._differs(first[1])) from error
        for warning in told:
            if issubclass(warning.category, UserWarning):
                raise ValueError(warning.message)

    def _assign(
        self,
        saved: Sequence[SavedLayer],
        weights_of: Callable[[keras.Layer], Sequence[keras.Variable]],
    ) -> None:
        """Assign in order, but only after every layer was found to have the right shapes."""
        layers = list(_layers(self.model))
        for layer, source in itertools.zip_longest(layers, saved[: len(layers)]):
            if source is None:
                raise self._refusal(f"it ends before the layer {layer.name} of {self.name}")
            expected, received = _shapes(weights_of(layer)), _shapes(source.weights)
            if expected != received:
                shapes = f": {expected} here, {received} in the file's {source.name}"
                raise self._refusal(self._differs(layer.name) + shapes)
        if self.classification_layer and len(saved) > len(layers):
            extra = saved[len(layers)].name
            raise self._refusal(f"after the last layer of {self.name} it goes on with {extra}")
        for layer, source in zip(layers, saved, strict=False):
            _set(layer, weights_of(layer), source.weights)

    def _start(self, saved: Sequence[SavedLayer]) -> int:
        """Where the network begins in a classifier that may have layers of its own before it.

        Found by name, but only as one run with no layer between: a deeper network of the same
        family has all the names of a shallower one.
        """
        names = [layer.name for layer in _layers(self.model)]
        saved_names = [layer.name for layer in saved]
        for start in range(len(saved) - len(names) + 1):
            if saved_names[start : start + len(names)] == names:
                return start
        return 0

    def _differs(self, layer: str) -> str:
        return f"it is of another network than {self.name}; the first layer to differ is {layer}"

    def _refusal(self, problem: str) -> WeightsFileError:
        return WeightsFileError(self.path, problem)


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers with weights, in order; those of a network inside the model are its own.

    A `Sequential` inside counts as one layer, as in the files that are published.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential):
            yield from _layers(layer)
        elif layer.weights:
            yield layer


def _shapes(weights: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _set(
    layer: keras.Layer,
    variables: Sequence[keras.Variable],
    values: Sequence[Any],
) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(np.asarray(value))
    # Normalization computes with numbers derived from its weights.
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _published_order(layer: keras.Layer) -> list[keras.Variable]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]
