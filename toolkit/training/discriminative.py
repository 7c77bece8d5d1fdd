"""Optimizers that train each variable at a rate of its own, from a step of its own."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras


class Rate(NamedTuple):
    """How fast a variable is trained, and from when.

    Attributes:
        factor: Of the learning rate, and so of the decoupled weight decay.
        first_step: Before this step of the optimizer (from 0) the variable stays as it is.
    """

    factor: float = 1.0
    first_step: int = 0


class _Discriminative(keras.optimizers.Optimizer):
    """What is mixed in before an optimizer's own class."""

    weight_decay: Any

    def __init__(self, *args: Any, rates: Sequence[Sequence], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rates = tuple(Rate(*rate) for rate in rates)

    def build(self, variables: list[keras.Variable]) -> None:
        """Also checks that each variable has a rate."""
        if len(variables) != len(self._rates):
            raise ValueError(f"There are {len(self._rates)} rates, and {len(variables)} variables.")
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """As the optimizer does it, at the variable's rate."""
        super().update_step(gradient, variable, learning_rate * self._share(variable))

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        # Keras multiplies by the rate of all here. The decay's share comes to the same.
        decay = self.weight_decay
        if decay is None:
            return
        try:
            for variable in variables:
                self.weight_decay = decay * self._share(variable)
                super()._apply_weight_decay([variable])
        finally:
            self.weight_decay = decay

    def _share(self, variable: Any) -> Any:
        rate = self._rates[self._get_variable_index(variable)]
        if not rate.first_step:
            return rate.factor
        return rate.factor * keras.ops.cast(self.iterations >= rate.first_step, "float32")

    def get_config(self) -> dict[str, Any]:
        """The optimizer's, with the rates."""
        return {**super().get_config(), "rates": [list(rate) for rate in self._rates]}


@functools.cache
def discriminative(kind: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """An optimizer class with one more keyword: `rates`, a `Rate` for each variable in their order.

    Moments are gathered from the run's first step, also of a variable that is trained later. Adam's
    bias correction knows one number of steps for all: with moments that are still empty late in a
    run, a variable's first steps would be several times as large as they should be.

    Args:
        kind: Any of Keras' optimizer classes; but Ftrl and ScheduleFreeAdamW, which keep sums of
            rates, cannot train a variable later than others.

    Returns:
        Its subclass, serializable as "toolkit>Discriminative...". A process that reads a saved one
        must have made the class before.

    See Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification".

    Example:
        >>> rates = [Rate(0.5) if v.path.startswith("block") else Rate() for v in variables]
        >>> optimizer = discriminative(keras.optimizers.AdamW)(3e-4, rates=rates)
    """
    name = f"Discriminative{kind.__name__}"
    made = type(name, (_Discriminative, kind), {"__doc__": f"{kind.__name__} with `rates`."})
    return keras.saving.register_keras_serializable("toolkit", name)(made)
