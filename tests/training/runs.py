"""A training of a second, and what may happen in it."""

import keras
import numpy as np
import tensorflow as tf

from toolkit.training.checkpoint import STATE, Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.optimization import Optimization

EPOCHS, STEPS = 4, 5


def make_model() -> keras.Model:
    """A small network with all that has a state: a frozen part, BatchNorm, dropout."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh", trainable=False)(inputs)
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8)(hidden))
    hidden = keras.layers.Dropout(0.3)(hidden)
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def make_batch(*seed: int, count: int = 8):
    random = np.random.default_rng(seed)
    images = random.normal(size=(count, 6)).astype(np.float32)
    return images, (images.sum(1) > 0).astype(np.int32) + (images[:, 0] > 1)


def batches(epochs: range):
    """Batches that differ from epoch to epoch."""
    for epoch in epochs:
        yield from (make_batch(epoch, step) for step in range(STEPS))


VALIDATION = tf.data.Dataset.from_tensors(make_batch(99, count=32))


def train(
    folder, *callbacks, training=batches, checkpoint=None, learning_rate=0.05, steps=None, **more
) -> tuple[keras.Model, Checkpoint]:
    """A run in a folder, which goes on where there is one; `steps` are how they are made."""
    folder.mkdir(exist_ok=True)
    checkpoint, model = checkpoint or Checkpoint(folder, EPOCHS, 100.0), make_model()
    fine_tune(
        model,
        training,
        VALIDATION,
        steps_per_epoch=STEPS,
        epochs=EPOCHS,
        optimization=Optimization(learning_rate, 0.01, **steps or {}),
        checkpoint=checkpoint,
        callbacks=list(callbacks),
        **more,
    )
    return model, checkpoint


def assert_same(one, two) -> None:
    """Two runs have the same history and weights, to the bit."""
    assert one[1].history == two[1].history
    assert one[1].best_epoch == two[1].best_epoch
    assert one[1].ended == two[1].ended
    for a, b in zip(one[0].get_weights(), two[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def state(folder) -> dict[str, np.ndarray]:
    """What a resumed run would start from."""
    with np.load(folder / STATE) as saved:
        return dict(saved)


class Killed(BaseException):
    """Ends a run as a kill does, as far as a test can."""
