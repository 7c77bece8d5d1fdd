"""Small networks that many tests run, cut and convert."""

import keras
import numpy as np

from toolkit.classifier.model import attach_head

PIXELS = 16


def make_network(seed: int = 0, size: int = PIXELS, filters: int = 4) -> keras.Model:
    """A network whose features tell images apart."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((size, size, 3))
    hidden = keras.layers.Conv2D(filters, 3, strides=2, activation="tanh")(pixels / 255)
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(hidden), name="small")


def make_lower(seed: int = 0) -> keras.Model:
    """What lies below a boundary: activations [N, 7, 7, 4] that are not pooled."""
    network = make_network(seed)
    return keras.Model(network.input, network.layers[-2].output, name="lower")


def make_residual(seed: int = 0, size: int = PIXELS) -> keras.Model:
    """A stem, and two blocks that are added to what they take; BatchNorm has seen something."""
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((size, size, 3))
    hidden = keras.layers.Rescaling(1 / 127.5, -1, name="normalize")(pixels)
    hidden = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="stem_conv")(hidden)
    hidden = keras.layers.BatchNormalization(name="stem_bn")(hidden)
    hidden = keras.layers.Activation("relu", name="stem_relu")(hidden)
    for block in ("block1", "block2"):
        strides = 2 if block == "block1" else 1
        inside = keras.layers.Conv2D(8, 3, strides=strides, padding="same", name=f"{block}_conv")(
            hidden
        )
        inside = keras.layers.BatchNormalization(name=f"{block}_bn")(inside)
        if strides > 1:
            hidden = keras.layers.Conv2D(8, 1, strides=strides, name=f"{block}_shortcut")(hidden)
        hidden = keras.layers.Add(name=f"{block}_add")([hidden, inside])
        hidden = keras.layers.Activation("relu", name=f"{block}_relu")(hidden)
    network = keras.Model(
        pixels, keras.layers.GlobalAveragePooling2D(name="pool")(hidden), name="residual"
    )
    random = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    return network


def stages_of(network: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """A network's layers by the first word of their names, the input with the first stage."""
    stages: dict[str, list[keras.layers.Layer]] = {}
    for layer in network.layers[1:]:
        stages.setdefault(layer.name.split("_")[0], []).append(layer)
    first = next(iter(stages))
    stages[first].insert(0, network.layers[0])
    return stages


def with_head(network: keras.Model, dropout: float = 0.0) -> keras.Model:
    """A classifier of three classes on a network."""
    random = np.random.default_rng(3)
    kernel = random.normal(0, 0.5, (network.output_shape[1], 3)).astype(np.float32)
    return attach_head(network, kernel, random.normal(size=3).astype(np.float32), dropout, seed=1)


def pixels(count: int, size: int = PIXELS, seed: int = 0) -> np.ndarray:
    """Random images: float32 [count, size, size, 3], 0 to 255."""
    random = np.random.default_rng(seed)
    return random.uniform(0, 255, (count, size, size, 3)).astype(np.float32)
