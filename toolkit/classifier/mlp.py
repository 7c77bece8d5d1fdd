"""A head with hidden layers, made of Keras' own, so that a saved one loads without this code."""

import keras
import numpy as np

from toolkit.classifier.head import MLP_L2, Head
from toolkit.classifier.model import HEAD, HEAD_PREFIX, PROBABILITIES, make_penalty

MAXOUT_PIECES = 2


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
    activation = head.activation or "relu"
    pieces = MAXOUT_PIECES if activation == "maxout" else 1
    hidden = _dropout(inputs, dropout, place, seed)
    # The normalization's own offset would make up for a bias.
    dense = _dense(head, pieces * width, f"{name}_dense", seed + place, not head.batchnorm)
    hidden = dense(hidden)
    if head.batchnorm:
        hidden = keras.layers.BatchNormalization(name=f"{name}_batchnorm")(hidden)
    if activation == "maxout":
        return _maxout(hidden, width, name)
    return keras.layers.Activation(activation, name=f"{name}_activation")(hidden)


def _maxout(inputs: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """The largest of each unit's linear pieces; see Goodfellow et al., "Maxout Networks", 2013."""
    pieces = keras.layers.Reshape((MAXOUT_PIECES, width), name=f"{name}_pieces")(inputs)
    return keras.layers.GlobalMaxPooling1D(name=f"{name}_activation")(pieces)


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
