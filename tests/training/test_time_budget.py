"""The budget with a clock that the training itself moves: a step takes a second, no test sleeps."""

import keras
import numpy as np
import pytest

from tests.training.runs import EPOCHS, STEPS, assert_same, train
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.ending import BUDGET
from toolkit.training.time_budget import EndInTime, OutOfTimeError, TimeBudget

VALIDATING = 2.0
EPOCH = STEPS + VALIDATING


class Clock(keras.callbacks.Callback):
    """A second for each step, two for each validation."""

    now = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.now += 1

    def on_test_end(self, logs=None):
        self.now += VALIDATING


def run(folder, seconds, reserve=0.0, clock=None):
    """A training within a budget: model, checkpoint, clock."""
    folder.mkdir(exist_ok=True)
    clock, checkpoint = clock or Clock(), Checkpoint(folder, EPOCHS, 100.0)
    budget = TimeBudget(seconds, lambda: clock.now, reserve)
    # Before its validation was timed, an image is taken to need there what it does in training.
    end = EndInTime(budget, checkpoint, STEPS, EPOCHS, validation_share=VALIDATING / STEPS)
    model, _ = train(folder, clock, end, checkpoint=checkpoint, time_budget=budget)
    return model, checkpoint, clock


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole") / "run")


def test_a_budget_that_is_large_enough_changes_no_bit(whole, tmp_path):
    model, checkpoint, clock = run(tmp_path, EPOCHS * EPOCH)
    assert_same(whole, (model, checkpoint))
    assert clock.now == EPOCHS * EPOCH


@pytest.mark.parametrize(("epochs", "reserve"), [(1, 10.0), (3, 0.0)])
def test_training_ends_at_an_epochs_end_where_another_would_take_too_long(
    whole, tmp_path, epochs, reserve
):
    _, checkpoint, clock = run(tmp_path, (epochs + 1) * EPOCH - 1 + reserve, reserve)
    assert clock.now == epochs * EPOCH, "no time is lost with an epoch that would be cut"
    assert checkpoint.history == whole[1].history[:epochs]
    assert (checkpoint.ended.by, checkpoint.ended.epoch) == (BUDGET, epochs)
    assert checkpoint.ended.why.endswith(f"ended training after epoch {epochs} of {EPOCHS}")


def test_a_budget_for_less_than_an_epoch_leaves_the_start(whole, tmp_path):
    _, checkpoint, clock = run(tmp_path, EPOCH - 2)
    assert checkpoint.history == [] and checkpoint.best_epoch == 0
    assert (checkpoint.ended.epoch, checkpoint.ended.step) == (1, 3)
    assert clock.now <= EPOCH - 2, "it is kept, validation included"
    assert f"in epoch 1 of {EPOCHS}, step 3 of {STEPS}" in checkpoint.ended.why


class SlowEpoch(Clock):
    """From the third epoch on, a step takes ten times as long."""

    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.now += 10 if self.epoch >= 2 else 1


def test_a_cut_epoch_does_not_count(whole, tmp_path):
    _, checkpoint, clock = run(tmp_path, 3 * EPOCH + 20, clock=SlowEpoch())
    assert checkpoint.history == whole[1].history[:2]
    assert (checkpoint.ended.epoch, checkpoint.ended.step) == (3, 2)
    assert clock.now <= 3 * EPOCH + 20
    best = min(checkpoint.history, key=lambda row: row["val_loss"])
    assert checkpoint.best_epoch == best["epoch"]


def test_where_the_time_is_up_before_training_it_does_not_begin(tmp_path):
    clock = Clock()
    clock.now = 50.0
    _, checkpoint, _ = run(tmp_path, 60, reserve=10.0, clock=clock)
    assert clock.now == 50 and checkpoint.history == []
    assert checkpoint.ended.why == "the time budget of 60s ended training before it began"


def test_a_run_that_was_killed_after_that_stays_ended_unless_there_is_another_budget(
    whole, tmp_path
):
    _, first, _ = run(tmp_path, 2 * EPOCH + 1)
    assert len(first.history) == 2
    _, same, clock = run(tmp_path, 2 * EPOCH + 1)
    assert (same.history, same.ended, clock.now) == (first.history, first.ended, 0)

    model, more, clock = run(tmp_path, 100 * EPOCH)
    assert clock.now == (EPOCHS - 2) * EPOCH, "a resumed command has all of its budget"
    assert_same(whole, (model, more))


def test_without_a_budget_a_run_that_one_has_ended_goes_on(whole, tmp_path):
    run(tmp_path, EPOCH + 1)
    assert_same(whole, train(tmp_path))


def test_an_epoch_that_is_hopeless_is_given_up_early(tmp_path):
    checkpoint = Checkpoint(tmp_path, 9, 1.0)
    clock = Clock()
    end = EndInTime(TimeBudget(100, lambda: clock.now), checkpoint, 1000, 3, 0.0)
    end.on_epoch_begin(0)
    for batch in range(100):
        clock.now += 1
        end.on_train_batch_end(batch)
        if checkpoint.ended:
            break
    assert checkpoint.ended.step < 15


def test_what_is_watched_goes_on_until_the_time_is_up():
    clock = Clock()
    budget = TimeBudget(5, lambda: clock.now)
    taken = []
    with pytest.raises(OutOfTimeError):
        for item in budget.watch(np.arange(100)):
            taken.append(item)
            clock.now += 1
    assert taken == [0, 1, 2, 3, 4]
