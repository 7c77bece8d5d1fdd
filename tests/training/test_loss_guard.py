import json
from dataclasses import asdict

import keras
import numpy as np
import pytest

from tests.training.runs import EPOCHS, STEPS, batches, make_batch, make_model, train
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.ending import BAD_LOSS


def spoilt_at(epoch, step, value):
    """The batches, of which one makes a loss that is no number."""

    def training(epochs):
        for k in epochs:
            for s in range(STEPS):
                images, labels = make_batch(k, s)
                bad = (k, s) == (epoch, step)
                yield images, labels, np.full(len(labels), value if bad else 1, np.float32)

    return training


class Steps(keras.callbacks.Callback):
    """Counts the steps that are taken."""

    taken = 0

    def on_train_batch_end(self, batch, logs=None):
        self.taken += 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_training_ends_at_the_very_step_and_the_best_weights_return(tmp_path, value):
    steps = Steps()
    model, checkpoint = train(tmp_path / "bad", steps, training=spoilt_at(2, 3, value))

    assert steps.taken == 2 * STEPS + 4
    assert len(checkpoint.history) == 2, "the epoch does not count"
    assert (checkpoint.ended.by, checkpoint.ended.epoch, checkpoint.ended.step) == (BAD_LOSS, 3, 4)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    _, uncut = train(tmp_path / "good")
    assert uncut.ended is None and checkpoint.history == uncut.history[:2]


def test_the_message_says_where_and_what_to_do(tmp_path):
    _, checkpoint = train(tmp_path, training=spoilt_at(1, 0, np.nan))
    assert checkpoint.ended.why == (
        f"the loss became nan in epoch 2 of {EPOCHS}, step 1 of {STEPS}, at a learning rate of "
        "0.0442. A lower --learning-rate, or gradients clipped at less (--clip-norm), may "
        "prevent it."
    )


def test_without_a_finished_epoch_the_weights_of_the_start_return(tmp_path):
    model, checkpoint = train(tmp_path, training=spoilt_at(0, 2, np.nan))
    assert checkpoint.history == [] and checkpoint.best_epoch == 0
    for one, two in zip(make_model().get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_learning_rate_of_a_million_ends_so(tmp_path):
    model, checkpoint = train(tmp_path, learning_rate=1e6)
    assert checkpoint.ended.by == BAD_LOSS
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_what_the_last_step_has_spoilt_is_found_by_validation(tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == STEPS - 1:
                weight = self.model.trainable_variables[0]
                weight.assign(np.full(weight.shape, np.nan))

    _, checkpoint = train(tmp_path, Spoil())
    assert checkpoint.history == []
    assert checkpoint.ended.why.startswith(f"the validation loss became nan in epoch 1 of {EPOCHS}")


def test_a_run_that_was_killed_after_that_does_not_train_again(tmp_path):
    model, checkpoint = train(tmp_path, training=spoilt_at(1, 1, np.nan))
    assert json.loads((tmp_path / "ended.json").read_text()) == asdict(checkpoint.ended)

    def fail(epochs):
        raise AssertionError

    again, later = train(tmp_path, training=fail)
    assert later.ended == checkpoint.ended and later.history == checkpoint.history
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_good_run_is_left_alone(tmp_path):
    steps = Steps()
    _, checkpoint = train(tmp_path, steps, training=batches)
    assert steps.taken == EPOCHS * STEPS and checkpoint.ended is None
    assert not (tmp_path / "ended.json").exists()
    assert Checkpoint(tmp_path, 1, 1.0).ended is None
