"""Several classifiers and the average of their probabilities, as one Keras model.

All is made of Keras' own operations, so it is saved, loaded and exported like any other model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from toolkit.data.prepare import Preparation
from toolkit.ensembles.average import ARITHMETIC, GEOMETRIC, TIE_SHARE
from toolkit.evaluation.metrics import EPSILON


@dataclass(frozen=True)
class Part:
    """A classifier's part in an ensemble.

    Attributes:
        model: From float32 [N, H, W, 3], or a list of them, to probabilities [N, K].
        preparations: Of each of its inputs.
        order: Where each of the ensemble's K classes is among the model's: int [K].
        weight: Its share of the average, above 0.
    """

    model: keras.Model
    preparations: Sequence[Preparation]
    order: np.ndarray
    weight: float


def join_models(
    parts: Sequence[Part], average: str, temperature: float = 1.0
) -> tuple[keras.Model, tuple[Preparation, ...]]:
    """Joins classifiers to one model that averages them.

    Classifiers with the same preparation share an input. The average is as in
    `toolkit.average_probabilities`, then scaled as by `apply_temperature`; all in float32.

    Args:
        parts: The classifiers; their weights sum to one.
        average: "arithmetic", "geometric" or "majority".
        temperature: Of the average; 1 leaves it as it is.

    Returns:
        A model that gives probabilities [N, K], and the preparation of each of its inputs: it takes
        one float32 [N, H, W, 3], values 0 to 255, or where there are several, a list of them.
    """
    distinct = tuple(dict.fromkeys(each for part in parts for each in part.preparations))
    inputs = {
        each: keras.Input((each.height, each.width, 3), name=f"images_{number}")
        for number, each in enumerate(distinct, 1)
    }
    probabilities = [
        _in_order(_call(part, number, [inputs[each] for each in part.preparations]), part.order)
        for number, part in enumerate(parts, 1)
    ]
    outputs = _average(probabilities, [part.weight for part in parts], average)
    if temperature != 1:
        outputs = ops.softmax(_log(outputs) / temperature, axis=-1)
    images = list(inputs.values())
    return keras.Model(images if len(images) > 1 else images[0], outputs, name="ensemble"), distinct


def _call(part: Part, number: int, images: list[keras.KerasTensor]) -> keras.KerasTensor:
    """The member's own layers below a name of its own: two may have the same."""
    model = keras.Model(part.model.inputs, part.model.outputs[0], name=f"member_{number}")
    return model(images if len(images) > 1 else images[0], training=False)


def _in_order(probabilities: keras.KerasTensor, order: np.ndarray) -> keras.KerasTensor:
    if np.array_equal(order, np.arange(len(order))):
        return probabilities
    return ops.take(probabilities, order.tolist(), axis=-1)


def _average(
    members: list[keras.KerasTensor], weights: list[float], average: str
) -> keras.KerasTensor:
    if average == GEOMETRIC:
        return ops.softmax(_weighted_sum([_log(each) for each in members], weights), axis=-1)
    mean = _weighted_sum(members, weights)
    if average == ARITHMETIC:
        return mean
    votes = [ops.one_hot(ops.argmax(each, axis=-1), each.shape[-1]) for each in members]
    return (1 - TIE_SHARE) * _weighted_sum(votes, weights) + TIE_SHARE * mean


def _log(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    return ops.log(ops.maximum(probabilities, EPSILON))


def _weighted_sum(arrays: list[keras.KerasTensor], weights: list[float]) -> keras.KerasTensor:
    weighted = [float(weight) * array for weight, array in zip(weights, arrays, strict=True)]
    total = weighted[0]
    for each in weighted[1:]:
        total = total + each
    return total
