"""Fine-tuning: the fit loop over a model whose top stages are trainable."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

from toolkit.training.checkpoint import Checkpoint
from toolkit.training.optimizer import make_optimizer
from toolkit.training.penalty import SparedPenalty

LOSSES = (keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy)
ACCURACIES = (keras.metrics.SparseCategoricalAccuracy, keras.metrics.CategoricalAccuracy)
"""Of labels that are numbers, and of one-hot or mixed ones."""


def fine_tune(
    model: keras.Model,
    training: Callable[[range], Iterable],
    validation: Iterable,
    *,
    one_hot: bool = False,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    checkpoint: Checkpoint,
    callbacks: list[keras.callbacks.Callback],
) -> keras.Model:
    """Trains until the epochs or the patience are out, and restores the best weights.

    Args:
        model: Gives logits [N, K]; its trainable layers are those to train.
        training: Gives the batches of a range of epochs, in one stream: images and labels, and if
            it likes the weights float32 [B] with which they count in the loss.
        validation: Batches to measure after each epoch.
        one_hot: Whether labels are shares of classes, float32 [B, K], not numbers, int [B].
        steps_per_epoch: Batches in an epoch.
        epochs: At most so many; the learning rate's schedule spans them all.
        learning_rate: The highest.
        weight_decay: Decoupled.
        checkpoint: Decides when to stop; where it holds a run's state, that run goes on.
        callbacks: Further Keras callbacks.
    """
    optimizer = make_optimizer(model, learning_rate, weight_decay, epochs * steps_per_epoch)
    model.compile(
        optimizer=optimizer,
        loss=LOSSES[one_hot](from_logits=True),
        metrics=[ACCURACIES[one_hot](name="accuracy")],  # Keras weights none of these.
        jit_compile=_compiles_well(),
    )
    done = checkpoint.resume(model)
    if done < epochs and not checkpoint.out_of_patience:
        model.fit(
            training(range(done, epochs)),
            validation_data=validation,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[SparedPenalty(), checkpoint, *callbacks],
            shuffle=False,  # The batches are shuffled already.
            verbose=0,
        )
    checkpoint.restore_best(model)
    return model


def _compiles_well() -> Any:
    # On a CPU, TensorFlow's XLA makes convolutions ten times slower; JAX has no other way.
    return False if keras.backend.backend() == "tensorflow" else "auto"
