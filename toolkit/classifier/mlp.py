"""A head with hidden layers, made of Keras' own, so that a saved one loads without this code."""

import keras
import numpy as np

from toolkit.classifier.head import MLP_L2, Head
from toolkit.classifier.model import HEAD, HEAD_PREFIX, PROBABILITIES, make_penalty

PIECE_SEEDS = 1000
"""Between the seeds of a maxout layer's two pieces: more than there are layers."""


def attach_mlp(
    backbone: keras.Model,
    head: Head,
    classes: int,
    mean: np.ndarray,
    deviation: np.ndarray,
    dropout: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Puts a multi-layer perceptron on a backbone.

    Its first layer standardizes the features, as the probe does, so that what an initializer
    assumes of its input holds for every backbone. Dropout comes before each Dense layer.

    Args:
        backbone: float32 [N, H, W, 3], values 0 to 255, to pooled features [N, D].
        head: An "mlp".
        classes: K.
        mean: Of the training split's features: float32 [D].
        deviation: Theirs, above 0: float32 [D].
        dropout: Share of each layer's input that is set to zero in training, 0 up to 1.
        seed: Of the initial weights and the dropout.

    Returns:
        A model that gives probabilities [N, K]. Its layers have names as `attach_head`'s:
        `logits_model` gives the logits, to train on.

    Example:
        >>> model = attach_mlp(backbone, Head("mlp", layers=2), 10, mean, deviation)
    """
    standardize = keras.layers.Normalization(
        mean=mean, variance=np.square(deviation), name=f"{HEAD_PREFIX}standardize"
    )
    hidden = standardize(backbone.output)
    widths = head.widths(backbone.output_shape[-1], classes)
    for place, width in enumerate(widths, start=1):
        hidden = _hidden_layer(hidden, head, width, place, dropout, seed)
    hidden = _dropout(hidden, dropout, len(widths) + 1, seed)
    logits = _dense(head, classes, HEAD, seed, use_bias=True)(hidden)
    outputs = keras.layers.Softmax(name=PROBABILITIES, dtype="float32")(logits)
    return keras.Model(backbone.input, outputs, name="classifier")


def _hidden_layer(
    inputs: keras.KerasTensor, head: Head, width: int, place: int, dropout: float, seed: int
) -> keras.KerasTensor:
    name = f"{HEAD_PREFIX}{place}"
    inputs = _dropout(inputs, dropout, place, seed)
    if head.activation == "maxout":
        # See Goodfellow et al., "Maxout Networks", 2013. Not as one layer's largest units: under
        # JAX, the gradient of a maximum over an axis may become no number.
        pieces = [
            _linear(inputs, head, width, f"{name}_piece{piece}", seed + PIECE_SEEDS * piece + place)
            for piece in (1, 2)
        ]
        return keras.layers.Maximum(name=f"{name}_activation")(pieces)
    hidden = _linear(inputs, head, width, name, seed + place)
    return keras.layers.Activation(head.activation or "relu", name=f"{name}_activation")(hidden)


def _linear(
    inputs: keras.KerasTensor, head: Head, width: int, name: str, seed: int
) -> keras.KerasTensor:
    # The normalization's own offset would make up for a bias.
    hidden = _dense(head, width, f"{name}_dense", seed, use_bias=not head.batchnorm)(inputs)
    if not head.batchnorm:
        return hidden
    return keras.layers.BatchNormalization(name=f"{name}_batchnorm")(hidden)


def _dropout(inputs: keras.KerasTensor, dropout: float, place: int, seed: int) -> keras.KerasTensor:
    name = f"{HEAD_PREFIX}dropout_{place}"
    return keras.layers.Dropout(dropout, seed=seed + place, name=name)(inputs)


def _dense(head: Head, units: int, name: str, seed: int, use_bias: bool) -> keras.layers.Dense:
    return keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=make_initializer(head.initializer or "glorot", seed),
        kernel_regularizer=make_penalty(head.l1, MLP_L2 if head.l2 is None else head.l2),
        dtype="float32",
        name=name,
    )


def make_initializer(name: str, seed: int) -> keras.initializers.Initializer:
    """The initializer of a name out of `toolkit.classifier.head.INITIALIZERS`.

    zeros, small-gaussian and large-gaussian are there to be studied: with the first, hidden layers
    learn nothing; with the others, signals vanish or saturate in a deep head.

    See Glorot and Bengio 2010 (glorot), He et al. 2015 (he), LeCun et al. 1998 (lecun), Saxe et al.
    2014 (orthogonal).
    """
    initializers = keras.initializers
    makers = {
        "glorot": lambda: initializers.GlorotUniform(seed),
        "he": lambda: initializers.HeNormal(seed),
        "lecun": lambda: initializers.LecunNormal(seed),
        "orthogonal": lambda: initializers.Orthogonal(seed=seed),
        "zeros": initializers.Zeros,
        "small-gaussian": lambda: initializers.RandomNormal(stddev=0.01, seed=seed),
        "large-gaussian": lambda: initializers.RandomNormal(stddev=1.0, seed=seed),
    }
    return makers[name]()
