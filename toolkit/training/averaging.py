"""The moving average of the weights: it is what is validated and kept."""

import keras

from toolkit.training.precision import inner
from toolkit.training.variables import assign, copy


def averages_or_weights(model: keras.Model) -> list[keras.Variable]:
    """The optimizer's averages of the trainable weights where it keeps such, else these themselves.

    The model must be compiled, its optimizer built.
    """
    optimizer = inner(model.optimizer)
    if optimizer.use_ema:
        return optimizer._model_variables_moving_average
    return model.trainable_variables


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
