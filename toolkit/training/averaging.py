"""Averages of the weights over a run: where there are such, they are validated and kept."""

import math

import keras
import numpy as np

from toolkit.training.optimization import Optimization
from toolkit.training.precision import inner
from toolkit.training.variables import assign, copy


def averages_or_weights(model: keras.Model) -> list[keras.Variable]:
    """The optimizer's averages of the trainable weights where it has such, else these themselves.

    The model must be compiled, its optimizer built.
    """
    optimizer = inner(model.optimizer)
    if optimizer.use_ema:
        return optimizer._model_variables_moving_average
    if _epochs_averaged(optimizer):
        return optimizer.epoch_averages
    return model.trainable_variables


def keep_epoch_averages(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> None:
    """Gives an optimizer variables for the mean of the weights, and how many it is the mean of.

    As its own variables they are a part of the state with which a run goes on.
    """
    optimizer.epoch_averages = [
        optimizer.add_variable_from_reference(variable, name="epoch_average")
        for variable in model.trainable_variables
    ]
    optimizer.epochs_averaged = optimizer.add_variable((), "zeros", name="epochs_averaged")


def averaging_callbacks(optimization: Optimization, epochs: int) -> list[keras.callbacks.Callback]:
    """What a run of so many epochs needs, to validate averages of its weights."""
    if optimization.ema:
        return [ValidateAverage()]
    if optimization.swa:
        return [AverageEpochs(first_averaged_epoch(epochs, optimization.swa))]
    return []


def first_averaged_epoch(epochs: int, share: float) -> int:
    """The first epoch, from 0, that ends in the last share of a run; the last one at the latest.

    Example:
        >>> first_averaged_epoch(epochs=6, share=0.25)
        4
    """
    return min(epochs - 1, math.floor(epochs * (1 - share) + 1e-9))


class ValidateAverage(keras.callbacks.Callback):
    """Puts the averages in the weights' place while a model is validated.

    Keras' `SwapEMAWeights` does so as well, but on TensorFlow by adding and subtracting, which
    rounds: the weights that training goes on with would be others than those it had reached.

    See Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging".
    """

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Takes the averages."""
        self._weights = copy(self.model.trainable_variables)
        assign(self.model.trainable_variables, copy(averages_or_weights(self.model)))

    def on_test_end(self, logs: dict | None = None) -> None:
        """Gives the weights back."""
        assign(self.model.trainable_variables, self._weights)


class AverageEpochs(ValidateAverage):
    """Averages the weights at the ends of epochs, equally, and validates the average.

    The optimizer keeps it (`keep_epoch_averages`), so a resumed run goes on equally.

    See Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization".

    Args:
        first: The first epoch that counts, from 0.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes which epoch is trained."""
        self._epoch = epoch

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Adds the weights of the epoch that is being validated, and takes the average."""
        if self._epoch >= self._first:
            _add_weights(self.model)
        super().on_test_begin(logs)


def _add_weights(model: keras.Model) -> None:
    optimizer = inner(model.optimizer)
    count, weights = _epochs_averaged(optimizer), copy(model.trainable_variables)
    for mean, weight in zip(optimizer.epoch_averages, weights, strict=True):
        former = copy([mean])[0].astype(np.float64)
        mean.assign((former + (weight - former) / (count + 1)).astype(weight.dtype))
    optimizer.epochs_averaged.assign(count + 1)


def _epochs_averaged(optimizer: keras.optimizers.Optimizer) -> int:
    counted = getattr(optimizer, "epochs_averaged", None)
    return 0 if counted is None else int(copy([counted])[0])
