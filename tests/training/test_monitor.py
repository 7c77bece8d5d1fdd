import math

import pytest

from toolkit.training.monitor import Monitor


def rows(*values, name="loss"):
    return [{f"val_{name}": value} for value in values]


def test_loss_is_to_fall_and_accuracy_to_rise():
    values = 0.5, 0.7, 0.3
    assert Monitor("loss", start=0.6).best_epoch(rows(*values)) == 3
    assert Monitor("accuracy", start=0.6).best_epoch(rows(*values, name="accuracy")) == 2
    calibrated = Monitor("calibrated-loss", start=0.6)
    assert calibrated.best_epoch(rows(*values, name="calibrated_loss")) == 3
    assert calibrated.gain == "lowered the validation calibrated loss"


@pytest.mark.parametrize("name", ["loss", "accuracy"])
def test_what_is_as_good_as_the_start_or_no_number_is_no_gain(name):
    monitor = Monitor(name, start=0.5)
    assert monitor.best_epoch([]) == monitor.last_gain([]) == 0
    assert monitor.best_epoch(rows(0.5, math.nan, 0.5, name=name)) == 0


def test_of_equal_epochs_the_first_is_the_best():
    assert Monitor("accuracy", start=0.5).best_epoch(rows(0.6, 0.7, 0.7, name="accuracy")) == 2


def test_small_gains_make_the_best_epoch_but_do_not_count_until_they_add_up():
    monitor, history = Monitor("loss", start=1.0, min_delta=0.1), rows(0.85, 0.8, 0.76, 0.74)
    assert [monitor.best_epoch(history[:n]) for n in range(5)] == [0, 1, 2, 3, 4]
    assert [monitor.last_gain(history[:n]) for n in range(5)] == [0, 1, 1, 1, 4]


def test_without_min_delta_the_last_gain_is_the_best_epoch():
    monitor, history = Monitor("loss", start=1.0), rows(1.2, 0.9, 0.95, 0.8, 0.9)
    for n in range(6):
        assert monitor.last_gain(history[:n]) == monitor.best_epoch(history[:n])
