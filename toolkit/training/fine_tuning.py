"""Fine-tuning: the fit loop over a model whose top stages are trainable."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from toolkit.training.checkpoint import Checkpoint
from toolkit.training.discriminative import Rate
from toolkit.training.ending import BUDGET
from toolkit.training.loss_guard import LossGuard
from toolkit.training.optimizer import make_optimizer
from toolkit.training.time_budget import TimeBudget, budget_ending

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
    rates: Mapping[str, Rate] | None = None,
    checkpoint: Checkpoint,
    callbacks: list[keras.callbacks.Callback],
    time_budget: TimeBudget | None = None,
) -> keras.Model:
    """Trains until the epochs or the patience are out, and restores the best weights.

    Where the loss is no finite number any more, training ends, too.

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
        rates: Of variables that are trained more slowly or later than others, by their paths.
        checkpoint: Decides when to stop; where it holds a run's state, that run goes on.
        callbacks: Further Keras callbacks.
        time_budget: Where none of it is left, training does not begin.
    """
    compile_model(
        model,
        one_hot=one_hot,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        steps=epochs * steps_per_epoch,
        rates=rates,
    )
    done = checkpoint.resume(model)
    _begin_in_time(checkpoint, time_budget, done, epochs)
    if done < epochs and not checkpoint.out_of_patience and not checkpoint.ended:
        model.fit(
            training(range(done, epochs)),
            validation_data=validation,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[LossGuard(checkpoint, steps_per_epoch, epochs), checkpoint, *callbacks],
            shuffle=False,  # The batches are shuffled already.
            verbose=0,
        )
    checkpoint.restore_best(model)
    return model


def _begin_in_time(
    checkpoint: Checkpoint, budget: TimeBudget | None, done: int, epochs: int
) -> None:
    ended, seconds = checkpoint.ended, budget.seconds if budget else None
    if ended and ended.by == BUDGET and ended.time_budget != seconds:
        checkpoint.go_on()  # There is another budget now.
    if budget and budget.left <= 0 and done < epochs and not checkpoint.ended:
        where = f"after epoch {done} of {epochs}" if done else "before it began"
        checkpoint.end(budget_ending(budget, done, 0, where))


def compile_model(
    model: keras.Model,
    *,
    one_hot: bool,
    learning_rate: float,
    weight_decay: float,
    steps: int,
    rates: Mapping[str, Rate] | None = None,
) -> None:
    """Gives a model the loss, metrics and optimizer with which it is trained.

    Args:
        model: Gives logits [N, K].
        one_hot: See `fine_tune`.
        learning_rate: The highest.
        weight_decay: Decoupled.
        steps: Of the whole run.
        rates: See `fine_tune`.
    """
    model.compile(
        optimizer=make_optimizer(model, learning_rate, weight_decay, steps, rates),
        loss=LOSSES[one_hot](from_logits=True),
        metrics=[ACCURACIES[one_hot](name="accuracy")],  # Keras weights none of these.
        jit_compile=_compiles_well(),
    )


def _compiles_well() -> Any:
    # On a CPU, TensorFlow's XLA makes convolutions ten times slower; JAX has no other way.
    return False if keras.backend.backend() == "tensorflow" else "auto"
