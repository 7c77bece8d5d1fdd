"""Features out of any layer of a network: its output, pooled over space."""

import keras

from toolkit.backbones.entry import Backbone
from toolkit.backbones.stages import stage_layers
from toolkit.choices import check_name
from toolkit.errors import UnknownNameError

AVG, MAX, AVG_MAX = POOLINGS = ("avg", "max", "avg+max")

_LAYERS = {
    AVG: ("features_avg", keras.layers.GlobalAveragePooling2D),
    MAX: ("features_max", keras.layers.GlobalMaxPooling2D),
}


def check_pooling(name: str) -> None:
    """Refuses what is no pooling.

    Raises:
        UnknownNameError: It is none; the nearest are offered.
    """
    check_name("pooling", name, POOLINGS)


def with_pooling(model: keras.Model, pooling: str) -> keras.Model:
    """A network as `build` gives it, with its last feature map pooled in another way.

    Args:
        model: Ends in global average pooling.
        pooling: "avg" (as it is), "max", or "avg+max": both side by side, [N, 2 x D].
    """
    if pooling == AVG:
        return model
    feature_map = model.layers[-1].input
    return keras.Model(model.input, _pool(feature_map, pooling), name=model.name)


def network_up_to(
    model: keras.Model, backbone: Backbone, layer: str, pooling: str = AVG
) -> keras.Model:
    """A network up to one of its layers, whose output is pooled over space: [N, channels].

    Args:
        model: As `build` gives it.
        backbone: Its entry in the registry.
        layer: The name of a stage, which stands for its last layer, or of a layer.
        pooling: One of `POOLINGS`.

    Raises:
        UnknownNameError: There is no such stage or layer; the nearest are offered.
    """
    stages = {name: layers[-1] for name, layers in stage_layers(model, backbone).items()}
    places = {each.name: each for each in model.layers} | stages
    if layer not in places:
        see = f"`toolkit backbones {backbone.name}` lists the stages."
        raise UnknownNameError("layer", layer, places, see)
    output = places[layer].output
    if output is model.output:
        return with_pooling(model, pooling)
    features = _pool(output, pooling) if len(output.shape) == 4 else output
    return keras.Model(model.input, features, name=f"{model.name}-to-{layer}")


def _pool(feature_map: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    pooled = []
    for part in pooling.split("+"):
        name, layer = _LAYERS[part]
        pooled.append(layer(name=name)(feature_map))
    return pooled[0] if len(pooled) == 1 else keras.layers.Concatenate(name="features")(pooled)
