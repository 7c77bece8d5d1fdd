"""A backbone and a head as one Keras model, and which of its layers are trained."""

import keras
import numpy as np

HEAD, PROBABILITIES = "logits", "probabilities"
HEAD_PREFIX = "head_"
"""Names of a head's layers: these two, and what begins so."""


def attach_head(
    backbone: keras.Model,
    kernel: np.ndarray,
    bias: np.ndarray,
    dropout: float = 0.0,
    seed: int | None = None,
    penalty: keras.regularizers.Regularizer | None = None,
) -> keras.Model:
    """Puts a linear classification layer on a backbone.

    Args:
        backbone: float32 [N, H, W, 3], values 0 to 255, to pooled features [N, D].
        kernel: float32 [D, K], for instance a probe's.
        bias: float32 [K].
        dropout: Share of the features that is set to zero in training, 0 up to 1.
        seed: Of the dropout.
        penalty: On the kernel, in training.

    Returns:
        A model that gives probabilities [N, K]. `logits_model` gives the logits, to train on.

    Example:
        >>> model = attach_head(backbone, probe.kernel, probe.bias, dropout=0.2)
    """
    dropped = keras.layers.Dropout(dropout, seed=seed, name=f"{HEAD_PREFIX}dropout")
    layer = keras.layers.Dense(
        kernel.shape[1], kernel_regularizer=penalty, name=HEAD, dtype="float32"
    )
    logits = layer(dropped(backbone.output))
    outputs = keras.layers.Softmax(name=PROBABILITIES, dtype="float32")(logits)
    model = keras.Model(backbone.input, outputs, name="classifier")
    layer.set_weights([kernel, bias])
    return model


def make_penalty(l1: float, l2: float) -> keras.regularizers.Regularizer | None:
    """l1 times the sum of a kernel's absolute values, plus l2 times that of its squares."""
    return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None


def logits_model(model: keras.Model) -> keras.Model:
    """The same layers up to the logits: the numerically sound end to train on."""
    return keras.Model(model.input, model.get_layer(HEAD).output, name="logits_model")


def lower_logits(model: keras.Model, by: np.ndarray) -> None:
    """Lowers a classifier's logits, in the bias of its head's last layer.

    Args:
        model: As `attach_head` or `attach_mlp` gives it.
        by: float32 [K].
    """
    layer = model.get_layer(HEAD)
    layer.set_weights([*layer.get_weights()[:-1], layer.get_weights()[-1] - by])


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divides a classifier's logits by a temperature, in the weights of its head's last layer.

    Args:
        model: As `attach_head` or `attach_mlp` gives it.
        temperature: Above 0.
    """
    layer = model.get_layer(HEAD)
    layer.set_weights([values / temperature for values in layer.get_weights()])


def freeze_below(
    model: keras.Model,
    stages: dict[str, list[keras.layers.Layer]],
    unfreeze: int,
    train_batchnorm: bool = False,
) -> list[str]:
    """Leaves the head and the top stages trainable, and freezes all else.

    The backbone's BatchNormalization stays frozen everywhere, unless it is thawed: a few small
    batches would spoil its statistics. Only a layer's own `trainable` freezes them: Keras 3.15.1
    loses the `training=False` with which a network is called.

    Args:
        model: As `attach_head` gives it.
        stages: The backbone's layers by stage, from the input up.
        unfreeze: How many stages from the top are trained, 0 to all.
        train_batchnorm: Thaws it, with its statistics, in the stages that are trained.

    Returns:
        The names of the trained stages.
    """
    names = list(stages)
    trained = names[len(names) - unfreeze :]
    for layer in model.layers:
        layer.trainable = layer.name == HEAD or layer.name.startswith(HEAD_PREFIX)
    for name in trained:
        for layer in stages[name]:
            norm = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = train_batchnorm or not norm
    return trained


def frozen_layers(
    stages: dict[str, list[keras.layers.Layer]], trained: list[str]
) -> list[keras.layers.Layer]:
    """The layers of all stages that are not trained."""
    return [layer for name, layers in stages.items() if name not in trained for layer in layers]
