import dataclasses

import pytest

from tests.test_options import GOOD
from toolkit.training.length import default_epochs, default_patience, default_rate


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


def test_patience_is_all_epochs_or_half_of_them_but_no_less_than_5():
    lengths = (0, 6, 11, 60)
    assert [default_patience(epochs, planned=False) for epochs in lengths] == [5, 5, 5, 30]
    assert [default_patience(epochs, planned=True) for epochs in lengths] == [5, 6, 11, 60]


def test_the_rate_grows_with_the_square_root_of_the_epochs_that_few_images_get():
    assert default_rate(3e-4, 10**6, 32) == default_rate(3e-4, 1440, 32) == 3e-4
    assert default_rate(3e-4, 161, 32) == pytest.approx(3e-4 * 8**0.5)
    assert default_rate(3e-4, 1200, 32) == 3e-4, "7 epochs are about the usual 6"
    assert default_rate(1e-2, 3, 32) == pytest.approx(1e-2 * 10**0.5)


def test_the_default_rate_is_the_optimizers_own_whatever_the_epochs():
    for epochs in (1, None, 100):
        asked = dataclasses.replace(GOOD, learning_rate=None, optimizer="sgd", epochs=epochs)
        assert asked.rate_for(10**5) == 1e-2
        assert asked.rate_for(10) == pytest.approx(default_rate(1e-2, 10, asked.batch_size))


def test_what_is_asked_for_is_what_is_done():
    asked = dataclasses.replace(GOOD, epochs=3, patience=7)
    assert (asked.epochs_for(10), asked.patience_for(10)) == (3, 7)
    open_ = dataclasses.replace(GOOD, epochs=None, patience=None, batch_size=4)
    assert (open_.epochs_for(40), open_.patience_for(40)) == (30, 30)
    for schedule in ("constant", "plateau"):
        assert dataclasses.replace(open_, schedule=schedule).patience_for(40) == 15
    assert dataclasses.replace(GOOD, epochs=3, patience=None).patience_for(10**6) == 5
