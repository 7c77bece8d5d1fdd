"""The schedules against values worked out by hand, and Keras' own where it has them."""

import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from toolkit.errors import UnknownNameError
from toolkit.training.schedules import FALLS, get, make_schedule, plateau_factor, warm_up_steps

HIGHEST = 0.1

# Of a run of 110 steps with a warm-up of 11, 99 are left; one-cycle rises over 45 of 100.
VALUES = {
    "constant": {11: 1, 60.5: 1, 110: 1},
    "step": {11: 1, 43: 1, 45: 0.1, 76: 0.1, 78: 0.01, 110: 0.01},
    "exponential": {11: 1, 60.5: 0.1, 110: 0.01},
    "polynomial": {11: 1, 60.5: 0.5**0.9, 110: 0},
    "cosine": {11: 1, 44: 0.75, 60.5: 0.5, 77: 0.25, 110: 0},
    # Cosines over the first, the next two and the last four sevenths.
    "cosine-restarts": {
        11: 1,
        11 + 99 / 14: 0.5,
        11 + 98.9 / 7: 0,
        11 + 99.1 / 7: 1,
        11 + 2 * 99 / 7: 0.5,
        11 + 3.001 * 99 / 7: 1,
        11 + 5 * 99 / 7: 0.5,
        110: 0,
    },
    "plateau": {11: 1, 60.5: 1, 110: 1},
}


@pytest.mark.parametrize("name", VALUES)
def test_reference_values(name):
    rate = make_schedule(name, HIGHEST, steps=110)
    for step, share in VALUES[name].items():
        assert rate(np.float64(step)) == pytest.approx(HIGHEST * share, abs=1e-4), step


def test_one_cycle_rises_falls_as_long_and_ends_far_below():
    rate = make_schedule("one-cycle", HIGHEST, steps=1000)
    shares = {0: 0.1, 225: 0.55, 450: 1, 675: 0.55, 900: 0.1, 950: 0.0505, 1000: 0.001}
    for step, share in shares.items():
        assert rate(np.float64(step)) == pytest.approx(HIGHEST * share, rel=1e-6), step


@pytest.mark.parametrize("name", FALLS)
@pytest.mark.parametrize("warmup", [None, 0.0, 0.25, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7, 400])
def test_each_warms_up_along_a_line_and_stays_above_0_until_the_end(name, warmup, steps):
    found = make_schedule(name, HIGHEST, steps, warmup)(np.arange(steps, dtype=float))
    rise = warm_up_steps(name, steps, warmup)

    np.testing.assert_allclose(np.diff(found[:rise], n=2), 0, atol=1e-12)
    assert (np.diff(found[:rise]) > 0).all()
    assert found.max() <= HIGHEST * (1 + 1e-9)
    if rise < steps:
        assert found[rise] == pytest.approx(HIGHEST)
    assert found.min() > 0, "no step is lost"


@pytest.mark.parametrize("name", FALLS)
@pytest.mark.parametrize("warmup", [None, 0.9])
def test_with_averaging_each_falls_to_half_and_stays_there(name, warmup):
    found = make_schedule(name, HIGHEST, 400, warmup, swa=0.25)(np.arange(400.0))
    rise = warm_up_steps(name, 400, warmup)
    np.testing.assert_allclose(found[max(300, rise) :], HIGHEST / 2)
    assert found[rise:].min() >= HIGHEST / 2 - 1e-12
    if rise < 300:
        assert found[rise] == pytest.approx(HIGHEST)
        fall = make_schedule(name, HIGHEST, 300, rise / 300)(np.arange(rise, 300.0))
        np.testing.assert_allclose(found[rise:300], HIGHEST / 2 + fall / 2)


@pytest.mark.parametrize("name", sorted(set(FALLS) - {"cosine-restarts"}))
def test_all_but_restarts_never_rise_after_the_warm_up(name):
    found = make_schedule(name, HIGHEST, 300)(np.arange(301.0))
    assert (np.diff(found[warm_up_steps(name, 300) :]) <= 1e-12).all()


@pytest.mark.parametrize("name", FALLS)
def test_after_the_run_the_rate_stays(name):
    rate = make_schedule(name, HIGHEST, 50)
    assert rate(np.float64(50)) == rate(np.float64(99))


@pytest.mark.parametrize("cycles", [1, 3, 5])
@pytest.mark.parametrize("warmup", [None, 0.0, 0.5])
def test_cycles_are_cosines_of_the_same_length_each_with_its_warm_up(cycles, warmup):
    rate = make_schedule(f"cosine-cycles-{cycles}", HIGHEST, 60 * cycles, warmup)
    one = make_schedule("cosine", HIGHEST, 60, warmup)
    found = rate(np.arange(60.0 * cycles))
    np.testing.assert_allclose(found, np.tile(one(np.arange(60.0)), cycles), rtol=1e-12)
    assert found[warm_up_steps("cosine", 60, warmup) :: 60] == pytest.approx(HIGHEST)
    assert rate(np.float64(60 * cycles)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["cosine-cycles-0", "cosine-cycles-", "cosine-cycles-N"])
def test_cycles_have_a_number(name):
    with pytest.raises(UnknownNameError):
        get(name)


def test_the_warm_up_is_a_share_of_the_run():
    assert [warm_up_steps("cosine", 200, share) for share in (None, 0, 0.5)] == [20, 1, 100]
    assert warm_up_steps("one-cycle", 200) == 90
    rate = make_schedule("step", HIGHEST, 200, warmup=0.5)
    assert rate(np.float64(50)) == pytest.approx(0.001 + 0.099 / 2)


@pytest.mark.parametrize(
    ("losses", "factor"),
    [
        ([], 1),
        ([0.9], 1),
        ([0.9, 0.9], 1),  # As good is no gain.
        ([0.9, 0.9, 0.9], 0.2),
        ([0.9, 1.0, 0.8, 0.9, 0.7], 1),
        ([0.9, 0.5, 0.6, 0.5, 0.6], 0.2),
        ([0.9, 0.5, 0.6, 0.5, 0.6, 0.7], 0.04),
        ([0.9, float("nan"), float("nan"), 0.1], 0.2),
    ],
)
def test_a_plateau_of_two_epochs_divides_the_rate_by_five(losses, factor):
    assert plateau_factor(losses) == pytest.approx(factor)


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        get("cosin-restart")
    assert str(error.value) == (
        "There is no schedule 'cosin-restart'. Did you mean: cosine-restarts, constant, cosine? "
        "There are: constant, step, exponential, polynomial, cosine, cosine-restarts, one-cycle, "
        "plateau, cosine-cycles-N."
    )


def test_it_is_light():
    code = (
        "import sys, toolkit.training.schedules; print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
