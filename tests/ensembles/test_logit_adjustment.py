"""How far logits are lowered by how frequent classes were in training."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from toolkit.ensembles.average import softmax
from toolkit.ensembles.logit_adjustment import fit_adjustment

SHARES = np.log([0.7, 0.25, 0.05])
PLACES = np.array([[1.5, 0], [0, 1.5], [-1, -1]])
"""Where classes lie in a plane; images lie around them with a deviation of 1."""


def images_of(counts, seed=0):
    """Labels of so many images of each class, and what tells them apart: log-likelihoods."""
    labels = np.repeat(np.arange(3), counts)
    images = PLACES[labels] + np.random.default_rng(seed).normal(size=(len(labels), 2))
    return labels, -((images[:, None] - PLACES) ** 2).sum(axis=2) / 2


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("counts", [(4000, 4000, 4000), (8400, 3000, 600)])
@pytest.mark.parametrize("taken_in", [1, 0.4])
def test_many_images_tell_what_was_taken_in(times, counts, taken_in):
    labels, likelihoods = images_of(counts)
    found = fit_adjustment(labels, softmax(times * (likelihoods + taken_in * SHARES)), SHARES)
    np.testing.assert_allclose(found.lowered, times * taken_in * SHARES, rtol=0.12)
    assert found.is_sure
    assert " lower with adjusted logits (standard error " in str(found)


def test_where_shares_were_not_taken_in_the_gain_is_not_sure():
    labels, likelihoods = images_of((300, 300, 300))
    found = fit_adjustment(labels, softmax(2 * likelihoods), SHARES)
    assert np.abs(found.lowered).max() < 0.3 * np.abs(SHARES).max()
    assert not found.is_sure


def test_of_few_images_the_theory_decides():
    labels, likelihoods = images_of((2, 2, 2))
    found = fit_adjustment(labels, softmax(likelihoods), SHARES)
    np.testing.assert_allclose(found.lowered, SHARES, rtol=0.5)
    assert not found.is_sure


def test_the_gain_is_that_of_losses_in_which_classes_count_the_same():
    labels, likelihoods = images_of((400, 150, 40))
    probabilities = softmax(likelihoods + SHARES)
    found = fit_adjustment(labels, probabilities, SHARES)
    adjusted = softmax(np.log(probabilities) - found.lowered)
    losses = [
        np.mean(
            [log_loss(labels[labels == k], each[labels == k], labels=[0, 1, 2]) for k in range(3)]
        )
        for each in (probabilities, adjusted)
    ]
    # Each way is measured at its best temperature, which is not far from 1 here.
    assert found.gain == pytest.approx(losses[0] - losses[1], abs=0.03)
    four_times = fit_adjustment(np.tile(labels, 4), np.tile(probabilities, (4, 1)), SHARES)
    assert four_times.error == pytest.approx(found.error / 2, rel=0.1)
    assert four_times.record() == {"gain": four_times.gain, "standard_error": four_times.error}


def test_a_class_without_images_counts_for_nothing():
    labels, likelihoods = images_of((300, 300, 0))
    found = fit_adjustment(labels, softmax(likelihoods + SHARES), SHARES)
    assert np.isfinite([*found.lowered, found.gain, found.error]).all()


def test_what_is_no_distribution_is_refused():
    with pytest.raises(ValueError, match="sum"):
        fit_adjustment([0, 1, 2], np.ones((3, 3)), SHARES)
