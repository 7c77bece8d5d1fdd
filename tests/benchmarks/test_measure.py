import pytest

from benchmarks.measure import alternate, rate_of, rate_to_last_batch, seconds_of
from benchmarks.outcome import Comparison, compare, shown


class Machine:
    """A clock that only work moves, on a machine whose speed changes."""

    def __init__(self):
        self.now, self.factor = 0.0, 1.0

    def clock(self):
        return self.now

    def work(self, seconds):
        self.now += seconds * self.factor


def test_contestants_take_turns_and_every_other_round_in_reverse():
    order = []
    contestants = {name: lambda name=name: order.append(name) for name in "abc"}
    alternate(3, contestants)
    assert "".join(order) == "abccbaabc"


def test_warm_up_does_not_count():
    calls = []
    measured = alternate(2, {"a": lambda: calls.append(0) or float(len(calls))}, warm_up=2)
    assert measured == {"a": [3.0, 4.0]}


def test_seconds_and_rates_are_those_of_the_clock():
    machine = Machine()
    contestants = {
        "slow": seconds_of(lambda: machine.work(4), machine.clock),
        "fast": rate_of(lambda: machine.work(2), 10, machine.clock),
    }
    assert alternate(2, contestants) == {"slow": [4.0, 4.0], "fast": [5.0, 5.0]}


@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_predict_batch_end"])
def test_what_comes_after_the_last_batch_does_not_count(moment):
    machine = Machine()

    def loop(callbacks):
        for batch in range(3):
            machine.work(2)
            getattr(callbacks[0], moment)(batch)
        machine.work(100)

    assert rate_to_last_batch(loop, 12, machine.clock)() == 2


def test_every_measurement_is_said():
    lines = []
    alternate(1, {"a": lambda: 2.0, "b": lambda: {"not": "a number"}}, warm_up=1, say=lines.append)
    assert "round 1 of 1, a: 2" in lines and "round 1 of 1, b" in lines
    assert sum(line.startswith("warm-up") for line in lines) == 2


def test_a_slow_round_does_not_change_the_ratio():
    machine = Machine()

    def contestant(seconds):
        return seconds_of(lambda: machine.work(seconds), machine.clock)

    rounds = []
    for machine.factor in (1, 3, 2):
        rounds.append(alternate(1, {"ours": contestant(1), "theirs": contestant(4)}))
    values = {name: [each[name][0] for each in rounds] for name in rounds[0]}
    comparison = compare("Time", "s", values, "theirs")
    assert comparison.medians == {"ours": 2.0, "theirs": 8.0}
    assert comparison.ratios == {"ours": 0.25}


def test_what_is_not_reached_counts_as_later_than_all_else():
    values = {"often": [1.0, None, 3.0], "seldom": [1.0, None, None], "guide": [2.0, 2.0, 2.0]}
    comparison = compare("Time", "s", values, "guide")
    assert comparison.medians == {"often": 3.0, "seldom": None, "guide": 2.0}
    assert comparison.ratios == {"often": 1.5, "seldom": None}


def test_each_contestant_may_have_a_reference_of_its_own():
    values = {"a1": [1.0], "b1": [2.0], "a2": [10.0], "b2": [5.0]}
    comparison = Comparison("Time", "s", values, {"b1": "a1", "b2": "a2"}, "a of the same size")
    assert comparison.ratios == {"b1": 2.0, "b2": 0.5}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (12.34, "12.3"), (99.96, "100"), (1234.5, "1,234"), (None, "never")],
)
def test_figures_have_three_digits(value, text):
    assert shown(value) == text
