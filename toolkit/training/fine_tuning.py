"""Fine-tuning: the fit loop over a model whose top stages are trainable."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from toolkit.training.averaging import averaging_callbacks
from toolkit.training.calibrated_loss import CalibratedLoss
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.discriminative import Rate
from toolkit.training.distillation import distilled
from toolkit.training.ending import BUDGET
from toolkit.training.fast_convolutions import fast_convolutions
from toolkit.training.loss_guard import LossGuard
from toolkit.training.losses import CROSS_ENTROPY, make_loss
from toolkit.training.optimization import Optimization
from toolkit.training.optimizer import make_optimizer
from toolkit.training.plateau import ReduceOnPlateau
from toolkit.training.precision import computing_in
from toolkit.training.schedules import PLATEAU
from toolkit.training.time_budget import TimeBudget, budget_ending

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
    optimization: Optimization,
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
        optimization: How the weights are trained.
        rates: Of variables that are trained more slowly or later than others, by their paths.
        checkpoint: Decides when to stop; where it holds a run's state, that run goes on.
        callbacks: Further Keras callbacks.
        time_budget: Where none of it is left, training does not begin.
    """
    steps = epochs * steps_per_epoch
    trained = compile_model(model, optimization, steps, one_hot=one_hot, rates=rates)
    done = checkpoint.resume(trained)
    _begin_in_time(checkpoint, time_budget, done, epochs)
    if done == epochs or checkpoint.out_of_patience or checkpoint.ended:
        checkpoint.restore_best(model)
        return model
    with computing_in(model, optimization.precision), fast_convolutions(model):
        trained.fit(
            training(range(done, epochs)),
            validation_data=validation,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[
                LossGuard(checkpoint, steps_per_epoch, epochs),
                checkpoint,
                *([ReduceOnPlateau(checkpoint)] if optimization.schedule == PLATEAU else []),
                *averaging_callbacks(optimization, epochs),
                *callbacks,
            ],
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
    optimization: Optimization,
    steps: int,
    *,
    one_hot: bool = False,
    rates: Mapping[str, Rate] | None = None,
    validate_alike: bool = False,
) -> keras.Model:
    """Gives a model the loss, metrics and optimizer with which it is trained.

    Args:
        model: Gives logits [N, K].
        optimization: How the weights are trained.
        steps: Of the whole run.
        one_hot: See `fine_tune`.
        rates: See `fine_tune`.
        validate_alike: Whether validation measures what is minimized, not plain cross-entropy.

    Returns:
        The model; where more than cross-entropy is minimized, another of the same layers.
    """
    trained = _model_to_train(model, optimization, validate_alike)
    trained.compile(
        optimizer=make_optimizer(model, optimization, steps, rates),
        loss=CROSS_ENTROPIES[one_hot](from_logits=True),
        # Keras weights none of these.
        metrics=[ACCURACIES[one_hot](name="accuracy"), CalibratedLoss()],
        jit_compile=_compiles_well(),
    )
    return trained


def _model_to_train(
    model: keras.Model, optimization: Optimization, validate_alike: bool
) -> keras.Model:
    """The same model, made to minimize that loss and penalties, and to validate cross-entropy.

    Penalties belong to what is minimized. Validation asks how good the predictions are, and they
    are compared with the probe's, whose loss has no penalty.
    """
    loss, smoothing = optimization.loss, optimization.label_smoothing
    plain = loss == CROSS_ENTROPY and not smoothing and optimization.teacher is None
    if plain and not model.losses:
        return model
    trained = _Trained(model.input, model.output, name=model.name)
    trained.minimized = make_loss(loss, smoothing)
    if optimization.teacher is not None:
        share, temperature = optimization.teacher_share, optimization.teacher_temperature
        trained.minimized = distilled(trained.minimized, share, temperature)
    trained.validated = make_loss(CROSS_ENTROPY, 0.0)
    trained.validates_alike = validate_alike
    return trained


class _Trained(keras.Model):
    minimized: Callable[[Any, Any], Any]
    validated: Callable[[Any, Any], Any]
    validates_alike: bool

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        whole = training or self.validates_alike
        losses = self.minimized(y, y_pred) if whole else self.validated(_labels(y, y_pred), y_pred)
        weighted = losses if sample_weight is None else losses * sample_weight
        return keras.ops.mean(weighted) + (sum(self.losses) if whole else 0.0)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().compute_metrics(x, _labels(y, y_pred), y_pred, sample_weight)


def _labels(y: Any, y_pred: Any) -> Any:
    """The labels of targets that may have a teacher's probabilities beside them."""
    return y[:, : y_pred.shape[-1]] if len(y.shape) > 1 else y


def _compiles_well() -> Any:
    # On a CPU, TensorFlow's XLA makes convolutions ten times slower; JAX has no other way.
    return False if keras.backend.backend() == "tensorflow" else "auto"
