import dataclasses

import pytest

from tests.test_options import GOOD
from toolkit.training.length import default_epochs, default_patience


@pytest.mark.parametrize(
    ("images", "batch_size", "epochs"),
    [
        (3, 32, 60),
        (160, 32, 60),  # 5 steps each.
        (161, 32, 50),
        (1440, 32, 6),
        (10**6, 32, 6),
        (1440, 1440, 60),
    ],
)
def test_few_images_come_in_more_epochs(images, batch_size, epochs):
    assert default_epochs(images, batch_size) == epochs


def test_patience_is_half_of_the_epochs_but_no_less_than_5():
    assert [default_patience(epochs) for epochs in (0, 6, 11, 60)] == [5, 5, 5, 30]


def test_what_is_asked_for_is_what_is_done():
    asked = dataclasses.replace(GOOD, epochs=3, patience=7)
    assert (asked.epochs_for(10), asked.patience_for(10)) == (3, 7)
    open_ = dataclasses.replace(GOOD, epochs=None, patience=None, batch_size=4)
    assert (open_.epochs_for(40), open_.patience_for(40)) == (30, 15)
    assert dataclasses.replace(GOOD, epochs=3, patience=None).patience_for(10**6) == 5
