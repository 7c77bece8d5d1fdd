"""Fine-tuning: the fit loop over a model whose top stages are trainable."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

from toolkit.training.averaging import ValidateAverage
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.losses import CROSS_ENTROPY, make_loss
from toolkit.training.optimizer import CLIP_NORM, make_optimizer
from toolkit.training.optimizer_entries import ADAMW
from toolkit.training.plateau import ReduceOnPlateau
from toolkit.training.schedules import COSINE, PLATEAU

CROSS_ENTROPIES = (keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy)
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
    optimizer: str = ADAMW,
    schedule: str = COSINE,
    warmup: float | None = None,
    clip_norm: float = CLIP_NORM,
    ema: float = 0.0,
    loss: str = CROSS_ENTROPY,
    label_smoothing: float = 0.0,
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
        optimizer: Its name; this and the next four are those of `make_optimizer`.
        schedule: How the learning rate goes over the run.
        warmup: Share of the run.
        clip_norm: Of a step's gradients, all together.
        ema: Momentum of the weights' moving average; where it is not 0, the averages are what is
            validated and restored.
        loss: What is minimized; this and the next are those of `make_loss`. Validation always
            measures plain cross-entropy.
        label_smoothing: Share of each label that is spread over all classes.
        checkpoint: Decides when to stop; where it holds a run's state, that run goes on.
        callbacks: Further Keras callbacks.
    """
    steps = epochs * steps_per_epoch
    trained = _model_to_train(model, loss, label_smoothing)
    trained.compile(
        optimizer=make_optimizer(
            model,
            learning_rate,
            weight_decay,
            steps,
            name=optimizer,
            schedule=schedule,
            warmup=warmup,
            clip_norm=clip_norm,
            ema=ema,
        ),
        loss=CROSS_ENTROPIES[one_hot](from_logits=True),
        metrics=[ACCURACIES[one_hot](name="accuracy")],  # Keras weights none of these.
        jit_compile=_compiles_well(),
    )
    done = checkpoint.resume(trained)
    if done < epochs and not checkpoint.out_of_patience:
        trained.fit(
            training(range(done, epochs)),
            validation_data=validation,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[
                checkpoint,
                *([ReduceOnPlateau(checkpoint.history)] if schedule == PLATEAU else []),
                *([ValidateAverage()] if ema else []),
                *callbacks,
            ],
            shuffle=False,  # The batches are shuffled already.
            verbose=0,
        )
    checkpoint.restore_best(model)
    return model


def _model_to_train(model: keras.Model, loss: str, label_smoothing: float) -> keras.Model:
    """The same model, made to minimize that loss, and to measure the one it is compiled with."""
    if loss == CROSS_ENTROPY and not label_smoothing:
        return model
    trained = _Trained(model.inputs, model.outputs, name=model.name)
    trained.minimized = make_loss(loss, label_smoothing)
    return trained


class _Trained(keras.Model):
    minimized: Callable[[Any, Any], Any]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        losses = self.minimized(y, y_pred)
        weighted = losses if sample_weight is None else losses * sample_weight
        return keras.ops.mean(weighted) + sum(self.losses)


def _compiles_well() -> Any:
    # On a CPU, TensorFlow's XLA makes convolutions ten times slower; JAX has no other way.
    return False if keras.backend.backend() == "tensorflow" else "auto"
