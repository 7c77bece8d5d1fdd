"""Networks cut in two at one tensor: what is frozen and what is trained, fine and coarse."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import keras

from toolkit.classifier.model import HEAD


@dataclass(frozen=True)
class Cut:
    """The two parts of a network, made of its own layers: training `upper` trains it.

    Attributes:
        lower: Images to the activations at the boundary.
        upper: Those activations to what the network gives.
    """

    lower: keras.Model
    upper: keras.Model


def cut_below(
    model: keras.Model, frozen: list[keras.layers.Layer], name: str = "network"
) -> Cut | None:
    """Cuts a classifier above its frozen layers.

    Args:
        model: As `attach_head` gives it.
        frozen: The layers of the stages that are not trained.
        name: What the parts' names begin with.

    Returns:
        Its upper part gives logits. None where there is nothing to gain, or no one place to cut:
        no stage is frozen, or the layers above take more than one tensor from those below.
    """
    below = {layer.name for layer in frozen}
    operations = model.operations
    layers = {layer.name for layer in model.layers}
    trained = {op.name for op in operations if op.name in layers - below}
    above = _with_all_behind(operations, trained)
    produced = {id(t): t for op in operations if op.name not in above for t in _tensors(op.output)}
    crossing = {
        id(tensor): tensor
        for op in operations
        if op.name in above
        for tensor in _tensors(op.input)
        if id(tensor) in produced
    }
    if len(crossing) != 1:
        return None
    (boundary,) = crossing.values()
    if boundary is model.inputs[0]:
        return None
    place = next(op.name for op in operations if id(boundary) in map(id, _tensors(op.output)))
    lower = keras.Model(model.input, boundary, name=f"{name}-to-{place}")
    upper = keras.Model(boundary, model.get_layer(HEAD).output, name=f"{name}-from-{place}")
    return Cut(lower, upper)


def cuts_where_narrow(network: keras.Model, most: int) -> list[Cut]:
    """Cuts a network at the first places that all passes through and that are narrower than before.

    Below are the layers of high resolution, few in number: rounding in them is seen by all others.

    Args:
        network: Images to features.
        most: So many cuts at most, from the input up.
    """
    return [
        Cut(
            keras.Model(network.input, tensor, name=f"{network.name}-fine"),
            keras.Model(tensor, network.output, name=f"{network.name}-coarse"),
        )
        for tensor in islice(_narrow_places(network), most)
    ]


def _narrow_places(network: keras.Model) -> Iterator[keras.KerasTensor]:
    """The bottlenecks that are smaller than all before, once the first layers have widened it."""
    image = math.prod(network.input_shape[1:])
    smallest = 0
    for tensor in _bottlenecks(network):
        size = math.prod(tensor.shape[1:])
        if not smallest and size != image:  # What only normalizes keeps the size.
            smallest = max(size, image)
        if size < smallest and tensor is not network.outputs[0]:
            smallest = size
            yield tensor


def _bottlenecks(network: keras.Model) -> Iterator[keras.KerasTensor]:
    """The tensors that all passes through, from the input up."""
    operations = network.operations
    uses = Counter(id(tensor) for op in operations for tensor in _tensors(op.input))
    waiting: dict[int, keras.KerasTensor] = {}
    for operation in operations:
        for tensor in _tensors(operation.input):
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                waiting.pop(id(tensor), None)
        waiting.update({id(t): t for t in _tensors(operation.output) if uses[id(t)]})
        if len(waiting) == 1:
            yield from waiting.values()


def _with_all_behind(operations: list[keras.Operation], names: set[str]) -> set[str]:
    """The named operations and all that depend on them."""
    made: set[int] = set()
    found = set(names)
    for operation in operations:  # From the input up.
        if operation.name in found or any(id(t) in made for t in _tensors(operation.input)):
            found.add(operation.name)
            made.update(id(tensor) for tensor in _tensors(operation.output))
    return found


def _tensors(structure: object) -> list[keras.KerasTensor]:
    return keras.tree.flatten(structure)
