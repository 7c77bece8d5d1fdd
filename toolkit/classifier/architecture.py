"""Whether two networks have one architecture, so that their weights may be averaged."""

from typing import Any

import keras
import numpy as np

from toolkit.classifier.identity import neutral_config

OF_TRAINING = ("seed", "training", "mask")
OF_TRAINING_ENDS = ("_initializer", "_regularizer", "_constraint")
"""Settings that decide how weights are found, and nothing of what they compute afterwards."""

LONGEST_VALUE = 40
"""Characters, of a setting that a message quotes."""


def architecture_difference(first: keras.Model, other: keras.Model) -> str | None:
    """How another network is built differently from the first.

    Names of layers, initializers, penalties, dropout's rate, and what is trained do not count; the
    statistics by which pixels are normalized do.

    Args:
        first: Made of layers (functional).
        other: As well.

    Returns:
        The first difference, in words that follow the other network's name; None: there is none.

    Example:
        >>> architecture_difference(network, wider)
        "has Conv2D 'stem' with filters 6, not 4"
    """
    mine, its = _layers(first), _layers(other)
    for one, another, layer in zip(mine, its, other.operations, strict=False):
        if one != another:
            return _layer_difference(one, another, layer.name)
    if len(mine) != len(its):
        return f"has {len(its)} layers, not {len(mine)}"
    for weight, its_weight in zip(first.weights, other.weights, strict=True):
        if weight.shape != its_weight.shape:
            return f"has {its_weight.path} of shape {its_weight.shape}, not {weight.shape}"
    return _normalization_difference(first, other)


def _normalization_difference(first: keras.Model, other: keras.Model) -> str | None:
    """Of statistics of images, which are no weights that were trained, though kept as such."""
    for layer, its in zip(first.layers, other.layers, strict=True):
        if isinstance(layer, keras.layers.Normalization):
            pairs = zip(layer.get_weights(), its.get_weights(), strict=True)
            if not all(np.array_equal(*pair) for pair in pairs):
                return f"has Normalization {its.name!r} with other statistics"
    return None


def _layers(network: keras.Model) -> list[dict[str, Any]]:
    """All of each layer that decides what it computes from its inputs and weights."""
    return [_computing(layer) for layer in neutral_config(network)["config"]["layers"]]


def _computing(layer: Any) -> Any:
    if isinstance(layer, list):
        return [_computing(item) for item in layer]
    if not isinstance(layer, dict):
        return layer
    kept = {key: _computing(value) for key, value in layer.items() if not _is_of_training(key)}
    if "Dropout" in str(layer.get("class_name")):
        kept["config"] = {}
    return kept


def _is_of_training(key: str) -> bool:
    return key in OF_TRAINING or key.endswith(OF_TRAINING_ENDS)


def _layer_difference(mine: dict[str, Any], its: dict[str, Any], name: str) -> str:
    layer = f"{its['class_name']} {name!r}"
    if mine["class_name"] != its["class_name"]:
        return f"has {layer} in the place of {mine['class_name']}"
    for setting, value in its["config"].items():
        other = mine["config"].get(setting)
        if value != other:
            return f"has {layer} with {_quoted(setting, value, other)}"
    return f"has {layer} on other layers"


def _quoted(setting: str, value: Any, other: Any) -> str:
    words = f"{setting} {value}, not {other}"
    return words if len(words) <= LONGEST_VALUE else f"another {setting}"
