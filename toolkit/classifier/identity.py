"""What makes a network itself: digests of its layers and its weights."""

import hashlib
import json
import weakref
from typing import Any

import keras
import numpy as np


def network_key(network: keras.Model) -> dict[str, str]:
    """All of a network that decides what it computes, as a part of a cache's key."""
    return {
        "network": network.name,
        "layers": _remembered_layers_digest(network),
        "weights": weights_digest(network),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


def weights_digest(network: keras.Model) -> str:
    """A digest of all of a network's weights: hexadecimal, 32 characters."""
    digest = hashlib.blake2b(digest_size=16)
    for weight in network.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


_layers_digests: "weakref.WeakKeyDictionary[keras.Model, str]" = weakref.WeakKeyDictionary()


def _remembered_layers_digest(network: keras.Model) -> str:
    # Unlike weights, layers stay; and to write them all down takes longer than to read the weights.
    if network not in _layers_digests:
        _layers_digests[network] = _layers_digest(network)
    return _layers_digests[network]


def _layers_digest(network: keras.Model) -> str:
    """A digest of the architecture, whatever names Keras has counted up for its layers."""
    text = json.dumps(neutral_config(network))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def neutral_config(network: keras.Model) -> dict[str, Any]:
    """A network's Keras config, with numbers for its layers' names, and without `trainable`."""
    network_config = json.loads(network.to_json())
    names = [layer["name"] for layer in network_config["config"]["layers"]]
    numbers = {name: f"layer-{number}" for number, name in enumerate(names)}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items() if key != "trainable"}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    return renamed(network_config)
