"""The values of variables, to and fro."""

from collections.abc import Sequence

import keras
import numpy as np


def copy(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """The values that variables have now."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Gives each variable its value."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
