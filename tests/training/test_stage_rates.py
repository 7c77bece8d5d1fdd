import pytest

from tests.networks import make_residual, stages_of
from toolkit.training.discriminative import Rate
from toolkit.training.stage_rates import first_epochs, stage_rates


@pytest.mark.parametrize(
    ("count", "epochs", "expected"),
    [
        (4, 6, [3, 2, 1, 0]),
        (4, 20, [3, 2, 1, 0]),
        (4, 3, [1, 1, 0, 0]),
        (3, 2, [1, 0, 0]),
        (9, 6, [3, 3, 2, 2, 1, 1, 0, 0, 0]),
        (4, 1, [0, 0, 0, 0]),
        (4, 0, [0, 0, 0, 0]),
        (1, 6, [0]),
        (0, 6, []),
    ],
)
def test_one_more_stage_in_each_epoch_from_the_top(count, epochs, expected):
    names = [f"stage{k}" for k in range(count)]
    assert list(first_epochs(names, epochs, True).items()) == list(
        zip(names, expected, strict=True)
    )
    assert set(first_epochs(names, epochs, False).values()) <= {0}


@pytest.mark.parametrize("epochs", range(1, 30))
def test_all_are_trained_by_the_middle_of_the_run(epochs):
    for count in range(1, 20):
        found = list(first_epochs([str(k) for k in range(count)], epochs, True).values())
        assert found == sorted(found, reverse=True)
        assert found[-1] == 0 and found[0] <= epochs // 2
        assert set(found) == set(range(found[0] + 1)), "no epoch passes without another stage"


def test_rates_fall_by_the_factor_from_stage_to_stage():
    stages = stages_of(make_residual())
    rates = stage_rates(stages, {"stem": 2, "block1": 1, "block2": 0}, 0.5, steps_per_epoch=7)

    assert rates["block2_conv/kernel"] == Rate(0.5, 0)
    assert rates["block1_conv/bias"] == rates["block1_bn/gamma"] == Rate(0.25, 7)
    assert rates["stem_conv/kernel"] == Rate(0.125, 14)
    trained = {v.path for name in rates_of(stages) for v in name.trainable_variables}
    assert set(rates) == trained, "the head's is the whole rate, and is not named"


def rates_of(stages):
    return [layer for name in ("stem", "block1", "block2") for layer in stages[name]]


def test_what_is_trained_as_the_head_is_not_named():
    stages = stages_of(make_residual())
    assert stage_rates(stages, {"block1": 0, "block2": 0}, 1.0, 7) == {}
    late = stage_rates(stages, {"block1": 1, "block2": 0}, 1.0, 7)
    assert {path.split("_")[0] for path in late} == {"block1"}
    assert set(late.values()) == {Rate(1, 7)}
