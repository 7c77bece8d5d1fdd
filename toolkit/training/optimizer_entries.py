"""The optimizers that there are: plain data, so that options are checked without Keras."""

from dataclasses import dataclass
from types import MappingProxyType

from toolkit.errors import UnknownNameError

ADAMW = "adamw"


@dataclass(frozen=True)
class OptimizerEntry:
    """An optimizer of Keras'.

    Attributes:
        keras_name: Of its class in `keras.optimizers`.
        learning_rate: Where none is given: for fine-tuning from a probe's head.
        settings: Where Keras' defaults are not taken: name and value.
    """

    keras_name: str
    learning_rate: float
    settings: tuple[tuple[str, float | bool], ...] = ()


OPTIMIZERS: MappingProxyType[str, OptimizerEntry] = MappingProxyType(
    {
        ADAMW: OptimizerEntry("AdamW", 3e-4),
        "adam": OptimizerEntry("Adam", 3e-4),  # With decoupled weight decay it is AdamW.
        "nadam": OptimizerEntry("Nadam", 3e-4),
        "rmsprop": OptimizerEntry("RMSprop", 3e-4),
        "lion": OptimizerEntry("Lion", 3e-5),
        "lamb": OptimizerEntry("Lamb", 3e-3),
        "adafactor": OptimizerEntry("Adafactor", 3e-3),
        "sgd": OptimizerEntry("SGD", 1e-2, (("momentum", 0.9), ("nesterov", True))),
    }
)


def find_optimizer(name: str) -> OptimizerEntry:
    """The optimizer of a name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError(
            "optimizer", name, OPTIMIZERS, f"There are: {', '.join(OPTIMIZERS)}."
        )
    return OPTIMIZERS[name]
