import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.ensembles.predictions import log_loss, make_predictions
from toolkit.ensembles.average import AVERAGES, average_probabilities
from toolkit.ensembles.weights import convex_weights, greedy_weights


def loss(labels, members, average, weights):
    return log_loss(labels, average_probabilities(members, average, weights))


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("seed", range(3))
def test_convex_weights_agree_with_a_generic_solver(average, seed):
    labels, members = make_predictions(60, seed=seed)

    def of_logits(logits):  # Nelder and Mead know no constraint and no gradient.
        return loss(labels, members, average, np.exp(logits - logits.max()))

    options = {"xatol": 1e-7, "fatol": 1e-13, "maxiter": 5000}
    expected = minimize(of_logits, np.zeros(3), method="Nelder-Mead", options=options)
    found = convex_weights(labels, members, average)
    assert loss(labels, members, average, found) <= expected.fun + 1e-9
    shares = np.exp(expected.x) / np.exp(expected.x).sum()
    np.testing.assert_allclose(found, shares, atol=2e-3)


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
def test_no_weights_on_a_grid_are_better(average):
    labels, members = make_predictions(50, seed=5)
    found = loss(labels, members, average, convex_weights(labels, members, average))
    grid = [w for w in itertools.product(range(11), repeat=3) if sum(w) == 10]
    assert found <= min(loss(labels, members, average, weights) for weights in grid) + 1e-12


@pytest.mark.parametrize("members", [1, 2, 8, 30])
def test_convex_weights_meet_the_conditions_of_optimality(members):
    labels, members = make_predictions(150, members=members, seed=2)
    weights = convex_weights(labels, members)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    of_true = members[:, np.arange(150), labels]
    gradient = (of_true / (weights @ of_true)).mean(axis=1)
    # The sum's multiplier is 1: no member would gain more, and those with a weight gain as much.
    assert gradient.max() <= 1 + 1e-4
    np.testing.assert_allclose(gradient[weights > 0], 1, atol=1e-4)


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
def test_a_member_that_only_harms_gets_no_weight(average):
    labels, members = make_predictions()
    wrong = 0.98 * np.eye(3)[(labels + 1) % 3] + 0.02 / 3
    assert convex_weights(labels, [members[0], wrong], average)[1] == pytest.approx(0, abs=2e-3)


def test_a_zero_for_the_true_class_is_no_end():
    labels = np.array([0, 1, 1])
    sure = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weights = convex_weights(labels, [sure, np.full([3, 2], 0.5)])
    assert np.isfinite(weights).all()
    assert 0 < weights[0] < 1


def select_slowly(labels, members, average, rounds):
    """Caruana's selection as it is told, with lists and the public average."""

    def bag_loss(bag):
        return log_loss(labels, average_probabilities([members[m] for m in bag], average))

    everyone = range(len(members))
    order = sorted(everyone, key=lambda member: bag_loss([member]))
    bag = min((order[: k + 1] for k in everyone), key=bag_loss)
    bags = [bag]
    for _ in range(rounds):
        bags.append(min(([*bags[-1], member] for member in everyone), key=bag_loss))
    bag = min(bags, key=lambda bag: round(bag_loss(bag), 9))
    return np.bincount(bag, minlength=len(members)) / len(bag)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize(("count", "seed"), [(2, 0), (3, 1), (5, 2)])
def test_greedy_selection_agrees_with_its_description(average, count, seed):
    labels, members = make_predictions(40, members=count, seed=seed)
    found = greedy_weights(labels, members, average, rounds=12)
    np.testing.assert_allclose(found, select_slowly(labels, members, average, 12), atol=1e-12)


def test_greedy_selection_is_nearly_as_good_as_convex_weights_and_leaves_members_out():
    labels, members = make_predictions(300, members=10, seed=3)
    greedy, convex = greedy_weights(labels, members), convex_weights(labels, members)
    losses = [loss(labels, members, "arithmetic", weights) for weights in (convex, greedy)]
    assert losses[0] <= losses[1] + 1e-9
    assert losses[1] - losses[0] < 2e-3
    assert (greedy == 0).any()
    assert greedy.sum() == pytest.approx(1)


def test_the_best_member_alone_is_kept_where_no_other_helps():
    labels, members = make_predictions()
    wrong = 0.98 * np.eye(3)[(labels + 1) % 3] + 0.02 / 3
    np.testing.assert_array_equal(greedy_weights(labels, [wrong, members[0], wrong]), [0, 1, 0])


@pytest.mark.parametrize("find", [convex_weights, greedy_weights])
@pytest.mark.parametrize(
    ("labels", "message"),
    [([0], r"labels \(1,\)"), ([0, 3], r"\[0, 2\)"), ([0.0, 1.0], "integers")],
)
def test_arguments_that_do_not_fit(find, labels, message):
    with pytest.raises(ValueError, match=message):
        find(labels, [[[0.5, 0.5], [0.9, 0.1]]])


def test_convex_weights_of_votes_are_refused():
    labels, members = make_predictions(10)
    with pytest.raises(ValueError, match=r"arithmetic and geometric.*Received: 'majority'"):
        convex_weights(labels, members, "majority")
    with pytest.raises(ValueError, match="Received: 'median'"):
        convex_weights(labels, members, "median")
    with pytest.raises(ValueError, match="Received: 'median'"):
        greedy_weights(labels, members, "median")
