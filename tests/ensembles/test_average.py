import math

import numpy as np
import pytest

import toolkit
from tests.ensembles.predictions import log_loss, make_predictions
from toolkit.ensembles.average import AVERAGES, TIE_SHARE

A, B = [[0.9, 0.1, 0.0]], [[0.3, 0.3, 0.4]]


def average(members, *arguments):
    return toolkit.average_probabilities(members, *arguments)


@pytest.mark.parametrize(
    ("how", "weights", "expected"),
    [
        ("arithmetic", None, [0.6, 0.2, 0.2]),
        ("arithmetic", [3, 1], [0.75, 0.15, 0.1]),
        ("majority", [3, 1], [0.999 * 0.75 + 0.00075, 0.00015, 0.999 * 0.25 + 0.0001]),
    ],
)
def test_cases_worked_out_by_hand(how, weights, expected):
    np.testing.assert_allclose(average([A, B], how, weights), [expected], atol=1e-12)


def test_the_geometric_mean_is_normalized_again():
    a, b = [[0.8, 0.2]], [[0.5, 0.5]]
    roots = np.sqrt([0.4, 0.1])
    np.testing.assert_allclose(average([a, b], "geometric"), [roots / roots.sum()])
    powers = np.array([0.8**0.75 * 0.5**0.25, 0.2**0.75 * 0.5**0.25])
    expected = [powers / powers.sum()]
    np.testing.assert_allclose(average([a, b], "geometric", [3, 1]), expected)


def test_members_that_exclude_each_other_give_no_nan():
    sure = [[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]
    expected = [1, 1, math.sqrt(1e-7)]  # Clipped at 1e-7: roots of 1e-7, 1e-7 and 1e-14.
    np.testing.assert_allclose(average(sure, "geometric"), [np.array(expected) / sum(expected)])


def test_one_members_zero_is_no_veto():
    found = average([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]], "geometric")
    assert 0 < found[0, 0] < 0.01


@pytest.mark.parametrize("how", AVERAGES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_are_distributions(how, dtype):
    _, members = make_predictions(dtype=dtype)
    found = average(members, how, [1, 0.5, 0])
    assert found.shape == (200, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert found.min() >= 0


@pytest.mark.parametrize("how", ["arithmetic", "geometric"])
def test_the_average_of_equal_members_is_the_member(how):
    _, members = make_predictions(members=1)
    found = average([members[0]] * 3, how, [0.2, 0.5, 0.3])
    np.testing.assert_allclose(found, members[0], atol=1e-12)


@pytest.mark.parametrize("how", AVERAGES)
def test_only_the_shares_of_weights_count_and_no_order(how):
    _, members = make_predictions()
    found = average(members, how, [1, 2, 3])
    np.testing.assert_allclose(found, average(members, how, [10, 20, 30]))
    np.testing.assert_allclose(found, average(list(members[::-1]), how, [3, 2, 1]))
    np.testing.assert_allclose(average(members, how), average(members, how, [5, 5, 5]))
    without = average(members[:2], how, [1, 2])
    np.testing.assert_allclose(average(members, how, [1, 2, 0]), without)


def test_the_mean_loses_no_more_than_the_members_do_on_average():
    labels, members = make_predictions()
    mean = np.mean([log_loss(labels, member) for member in members])
    assert log_loss(labels, average(members)) <= mean
    assert log_loss(labels, average(members, "geometric")) <= mean


def test_votes_decide_and_the_mean_breaks_ties():
    tied = [[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]]
    assert average(tied, "majority").argmax() == 1
    outvoted = [[[0.51, 0.49, 0.0]], [[0.51, 0.49, 0.0]], [[0.0, 1.0, 0.0]]]
    assert average(outvoted).argmax() == 1
    found = average(outvoted, "majority")
    assert found.argmax() == 0
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3, 0]], atol=TIE_SHARE)


def test_ties_are_broken_everywhere():
    _, members = make_predictions(500, members=4)
    votes = np.eye(3)[members.argmax(axis=2)].mean(axis=0)
    found = average(members, "majority").argmax(axis=1)
    most = votes == votes.max(axis=1, keepdims=True)
    assert (most.sum(axis=1) > 1).any()
    expected = np.where(most, members.mean(axis=0), -1).argmax(axis=1)
    np.testing.assert_array_equal(found, expected)


def test_arguments_are_left_alone():
    _, members = make_predictions()
    before = members.copy()
    for how in AVERAGES:
        average(members, how)
    np.testing.assert_array_equal(members, before)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], r"at least one array.*Received: \[\]"),
        ([A, [[0.5, 0.5]]], r"one shape.*\[\(1, 3\), \(1, 2\)\]"),
        ([A, B + B], r"one shape.*\(2, 3\)"),
        ([[0.5, 0.5]], r"\[N, K\].*\(2,\)"),
        ([np.zeros([0, 3])], r"at least one image.*\(0, 3\)"),
        ([A, [[0.5, 0.3, 0.1]]], r"^member 1 \(from 0\): .*sum 0\.9"),
        ([A, [[math.nan, 0.5, 0.5]]], r"^member 1 .*without NaN"),
        ([[[1.2, -0.2, 0.0]], A], r"^member 0 .*minimum -0\.2"),
        ([[[1, 0, 0]]], r"floats.*int64"),
    ],
)
def test_members_that_do_not_fit(members, message):
    with pytest.raises(ValueError, match=message) as caught:
        average(members)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], r"each of the 2 members.*Received: \[1\]"),
        ([1, 1, 1], r"each of the 2 members"),
        ([0.5, -0.5], r"at least 0.*-0\.5"),
        ([0.5, math.nan], "at least 0"),
        ([0.5, math.inf], "at least 0"),
        ([0, 0], r"not all be 0"),
        (0.5, r"each of the 2 members"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        average([A, B], "arithmetic", weights)


def test_an_unknown_average_is_refused():
    with pytest.raises(
        ValueError, match=r"one of arithmetic, geometric, majority\. Received: 'median'"
    ):
        average([A, B], "median")
