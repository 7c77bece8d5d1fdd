"""The average of several networks' weights, which is a network again."""

from collections.abc import Sequence

import keras
import numpy as np


def average_weights(members: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Averages weights (Wortsman et al. 2022, "Model soups").

    All of a network is averaged, moving means and variances of BatchNorm as well. That is right
    where BatchNorm was frozen, as it is by default: then the members have the same statistics, and
    the average is what they have. Where it was trained, statistics of the average network are not
    the average of the members' statistics; what such a soup is worth shows on validation.

    Args:
        members: The weights of each, as `get_weights` gives them, of networks of one architecture.

    Returns:
        The mean of each weight, computed in float64, in its own type; integers are rounded.
    """
    return [_mean(arrays) for arrays in zip(*members, strict=True)]


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    mean = np.mean([array.astype(np.float64) for array in arrays], axis=0)
    kind = arrays[0].dtype
    return (np.rint(mean) if np.issubdtype(kind, np.integer) else mean).astype(kind)


def weights_for_classes(model: keras.Model, order: np.ndarray) -> list[np.ndarray] | None:
    """A classifier's weights, with its classes in another order.

    Args:
        model: Its last layer with weights is Dense, and gives the logits, or probabilities.
        order: Where each of the K classes in the new order is among the model's: int [K].

    Returns:
        As `get_weights` gives them, the last kernel's columns and the bias permuted; None: the
        model's end is not so simple.
    """
    values = model.get_weights()
    if np.array_equal(order, np.arange(len(order))):
        return values
    head = _last_dense(model)
    if head is None:
        return None
    places = {id(weight): place for place, weight in enumerate(model.weights)}
    for weight in head.weights:
        place = places[id(weight)]
        values[place] = values[place][..., order]
    return values


def _last_dense(model: keras.Model) -> keras.layers.Dense | None:
    """The layer that gives logits, below a softmax or with its own."""
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.layers.Softmax):
        last = last.input._keras_history.operation
    simple = isinstance(last, keras.layers.Dense) and last.activation in (
        keras.activations.linear,
        keras.activations.softmax,
    )
    return last if simple else None
