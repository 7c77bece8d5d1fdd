import time

import numpy as np
import pytest

from tests.ensembles.predictions import log_loss, make_predictions
from toolkit.ensembles import evidence
from toolkit.ensembles.average import AVERAGES, average_probabilities
from toolkit.ensembles.evidence import diversity, leave_one_out, paired_gain


def accuracy(labels, probabilities):
    return (probabilities.argmax(axis=1) == labels).mean()


def test_diversity_agrees_with_numpy():
    labels, members = make_predictions()
    found = diversity(labels, members)
    predicted = members.argmax(axis=2)
    np.testing.assert_allclose(found.error_correlation, np.corrcoef(predicted != labels))
    np.testing.assert_array_equal(found.disagreement, found.disagreement.T)
    np.testing.assert_array_equal(np.diag(found.disagreement), 0)
    assert found.disagreement[0, 1] == (predicted[0] != predicted[1]).mean()


def test_members_that_never_err_have_no_correlation():
    perfect = np.eye(2)[[0, 1, 1]]
    found = diversity([0, 1, 1], [perfect, 1 - perfect, np.eye(2)[[0, 0, 1]]])
    assert np.isnan(found.error_correlation[0]).all()
    assert np.isnan(found.error_correlation[1, 1])
    assert found.error_correlation[2, 2] == pytest.approx(1)
    np.testing.assert_allclose(found.disagreement[0], [0, 1, 1 / 3])


@pytest.mark.parametrize("average", AVERAGES)
def test_leaving_one_out_measures_the_others(average):
    labels, members = make_predictions()
    weights = [0.5, 0.3, 0.2]
    found = leave_one_out(labels, members, average, weights)
    whole = average_probabilities(members, average, weights)
    rest = average_probabilities(members[[0, 2]], average, [0.5, 0.2])
    assert len(found) == 3
    assert found[1].loss == pytest.approx(log_loss(labels, rest), abs=1e-6)
    assert found[1].accuracy == accuracy(labels, rest)
    assert found[1].loss_saved == pytest.approx(
        log_loss(labels, rest) - log_loss(labels, whole), abs=1e-6
    )
    assert found[1].accuracy_gained == accuracy(labels, whole) - accuracy(labels, rest)


def test_a_member_without_weight_adds_nothing():
    labels, members = make_predictions()
    assert leave_one_out(labels, members, weights=[0.5, 0.5, 0])[2].loss_saved == 0
    alone = leave_one_out(labels, members, weights=[1, 0, 0])[0]
    assert alone.loss == pytest.approx(
        log_loss(labels, average_probabilities(members[1:])), abs=1e-6
    )


def test_a_single_member_cannot_be_left_out():
    labels, members = make_predictions(members=1)
    with pytest.raises(ValueError, match=r"at least 2.*Received: 1"):
        leave_one_out(labels, members)


def test_a_gain_is_the_difference_and_lies_in_its_interval():
    labels, members = make_predictions()
    ensemble = average_probabilities(members)
    gain = paired_gain(labels, ensemble, members[0])
    assert gain.loss == pytest.approx(
        log_loss(labels, members[0]) - log_loss(labels, ensemble), abs=1e-6
    )
    assert gain.accuracy == pytest.approx(accuracy(labels, ensemble) - accuracy(labels, members[0]))
    assert gain.loss_ci95[0] < gain.loss < gain.loss_ci95[1]
    assert gain.accuracy_ci95[0] <= gain.accuracy <= gain.accuracy_ci95[1]


def test_the_interval_is_as_wide_as_theory_says():
    labels, members = make_predictions(400)
    gain = paired_gain(labels, members[0], members[1], draws=4000)
    rows = np.arange(400)
    differences = np.log(members[0][rows, labels]) - np.log(members[1][rows, labels])
    half = 1.96 * differences.std() / np.sqrt(400)
    assert gain.loss_ci95 == pytest.approx((gain.loss - half, gain.loss + half), abs=0.08 * half)


def test_seeds_decide_and_pieces_do_not(monkeypatch):
    labels, members = make_predictions(50)
    first = paired_gain(labels, *members[:2], seed=3)
    assert paired_gain(labels, *members[:2], seed=3) == first
    assert paired_gain(labels, *members[:2], seed=4).loss_ci95 != first.loss_ci95
    monkeypatch.setattr(evidence, "CHUNK", 70)
    assert paired_gain(labels, *members[:2], seed=3) == first


def test_no_gain_over_itself():
    labels, members = make_predictions()
    gain = paired_gain(labels, members[0], members[0])
    assert (gain.loss, *gain.loss_ci95, gain.accuracy, *gain.accuracy_ci95) == (0,) * 6


def test_many_images_take_a_moment():
    labels, members = make_predictions(20_000, members=2)
    start = time.process_time()
    paired_gain(labels, *members)
    assert time.process_time() - start < 5


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="one shape"):
        paired_gain([0], [[0.5, 0.5]], [[0.2, 0.3, 0.5]])
    with pytest.raises(ValueError, match=r"labels \(2,\)"):
        diversity([0, 1], [[[0.5, 0.5]]])
