"""Which rows an epoch takes."""

import numpy as np
import pytest

from toolkit.data.order import resampled_rows, shuffled_rows

LABELS = np.repeat([0, 1, 2], [60, 12, 3])


def test_a_shuffled_epoch_takes_each_row_once():
    assert sorted(shuffled_rows(9, 0, 0)) == list(range(9))
    assert shuffled_rows(9, 0, 1).tolist() != shuffled_rows(9, 0, 0).tolist()


@pytest.mark.parametrize("counts", [(60, 12, 3), (5, 5), (1, 1, 9), (4, 3, 3, 1), (1, 2)])
def test_each_class_comes_equally_often_and_an_epoch_stays_as_long(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    for epoch in range(5):
        rows = resampled_rows(labels, 3, epoch)
        assert len(rows) == len(labels) and rows.dtype == np.int64
        drawn = np.bincount(labels[rows], minlength=len(counts))
        assert drawn.max() - drawn.min() <= 1


def test_no_image_comes_again_before_its_class_is_through():
    times = np.bincount(resampled_rows(LABELS, 0, 0), minlength=len(LABELS))
    assert set(times[:60]) == {0, 1}  # 25 of 60.
    assert set(times[60:72]) == {2, 3}  # 25 of 12.
    assert set(times[72:]) == {8, 9}  # 25 of 3.


def test_over_the_epochs_all_images_of_a_large_class_come():
    rows = np.concatenate([resampled_rows(LABELS, 0, epoch) for epoch in range(30)])
    assert set(rows) == set(range(len(LABELS)))


def test_classes_are_mixed_within_an_epoch():
    labels = LABELS[resampled_rows(LABELS, 0, 0)]
    assert len(set(labels[:15])) == 3


def test_seed_and_epoch_decide():
    found = {tuple(resampled_rows(LABELS, *key)) for key in [(0, 0), (0, 0), (0, 1), (1, 0)]}
    assert len(found) == 3
