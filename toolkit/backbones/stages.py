"""A built network's layers by stage."""

import keras

from toolkit.backbones.entry import Backbone, Stage


def stage_layers(model: keras.Model, backbone: Backbone) -> dict[str, list[keras.layers.Layer]]:
    """The layers of each stage, from the input up.

    Stages rest on names that Keras fixes, never on names with a counter, so they are the same
    however many networks were built before.

    Args:
        model: A network as `build` gives it, or one that was saved and loaded again.
        backbone: Its entry in the registry.

    Returns:
        All of `model.layers` in their order, each in one stage. What comes after the network's
        own layers (pooling, a classification layer) is in the last.

    Raises:
        ValueError: The model is not this network.

    Example:
        >>> stages = stage_layers(model, find("resnet50"))  # doctest: +SKIP
        >>> list(stages)  # doctest: +SKIP
        ['conv1', 'conv2', 'conv3', 'conv4', 'conv5']
    """
    layers = model.layers
    positions = {layer.name: i for i, layer in enumerate(layers)}
    try:
        starts = [_start(stage, positions) for stage in backbone.stages]
    except KeyError as error:
        raise ValueError(f"This model is no {backbone.name}: it has no layer {error}.") from error
    ends = [*starts[1:], len(layers)]
    return {
        stage.name: layers[start:end]
        for stage, start, end in zip(backbone.stages, starts, ends, strict=True)
    }


def _start(stage: Stage, positions: dict[str, int]) -> int:
    if stage.first_layer is not None:
        return positions[stage.first_layer]
    return 0 if stage.after_layer is None else positions[stage.after_layer] + 1
