"""Which head is put on a backbone: plain data, checked when it is given. Light to import."""

from dataclasses import dataclass

from toolkit.choices import check_name
from toolkit.errors import OptionError

LINEAR, MLP = HEADS = ("linear", "mlp")

ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "maxout")

INITIALIZERS = (
    "glorot",
    "he",
    "lecun",
    "orthogonal",
    "zeros",
    "small-gaussian",
    "large-gaussian",
)


MLP_L2 = 0.003
"""Without it, an MLP on the features of a few hundred images is less sure than the probe."""


@dataclass(frozen=True)
class Head:
    """What is put on the features; what is None has the default of its kind.

    Attributes:
        kind: "linear", which starts from the probe, or "mlp", which has hidden layers.
        layers: Hidden layers, at least 1; by default 1.
        width: Units of each of them; by default half of the layer before, but no fewer than
            there are classes.
        activation: One of `ACTIVATIONS`, of the hidden layers; by default relu.
        batchnorm: Whether each hidden layer normalizes its batches before its activation.
        initializer: One of `INITIALIZERS`, of all its kernels; by default glorot.
        l1: Times the sum of the kernels' absolute values, added to the training loss.
        l2: Times the sum of their squares; by default 0, or `MLP_L2`.

    Raises:
        UnknownNameError: A name is none of those.
        OptionError: A number is out of range, or given to a head that has no use for it.
    """

    kind: str = LINEAR
    layers: int | None = None
    width: int | None = None
    activation: str | None = None
    batchnorm: bool = False
    initializer: str | None = None
    l1: float = 0.0
    l2: float | None = None

    def __post_init__(self) -> None:
        check_name("head", self.kind, HEADS)
        hidden = {
            "--head-layers": self.layers,
            "--head-width": self.width,
            "--activation": self.activation,
            "--head-batchnorm": self.batchnorm or None,
            "--initializer": self.initializer,
        }
        for option, value in hidden.items():
            if self.kind == LINEAR and value is not None:
                rule = "left out with --head linear, which is the probe's one layer (try mlp)"
                raise OptionError(option, rule, value)
        if self.activation is not None:
            check_name("activation", self.activation, ACTIVATIONS)
        if self.initializer is not None:
            check_name("initializer", self.initializer, INITIALIZERS)

    def widths(self, features: int, classes: int) -> list[int]:
        """The units of each hidden layer, from the features up.

        Example:
            >>> Head("mlp", layers=2).widths(1280, 10)
            [640, 320]
        """
        places = range(1, (self.layers or 1) + 1)
        return [self.width or max(features >> place, classes) for place in places]
