import traceback

import keras
import numpy as np
import pytest

from tests.training.runs import EPOCHS, STEPS, assert_same, train
from toolkit.errors import OptionError
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.ending import CALLBACK
from toolkit.training.users_callbacks import UsersCallbacks, check_callbacks


class Faulty(keras.callbacks.Callback):
    """Raises in one of its hooks, in the third epoch; notes what is called."""

    def __init__(self, hook, error=None):
        super().__init__()
        self.called = []
        setattr(self, hook, self._raise)
        self._epoch, self._error = 0, error or RuntimeError("of the user's own")

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self.called.append(epoch)

    def _raise(self, *arguments, **options):
        if self._epoch == 2:
            raise self._error


def run(folder, *callbacks):
    folder.mkdir(exist_ok=True)
    checkpoint = Checkpoint(folder, EPOCHS, 100.0)
    users = UsersCallbacks(callbacks, checkpoint)
    model, _ = train(folder, users, checkpoint=checkpoint)
    return model, checkpoint, users


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize(("hook", "finished"), [("on_train_batch_end", 2), ("on_epoch_end", 3)])
def test_one_that_raises_ends_training_and_costs_no_finished_epoch(whole, tmp_path, hook, finished):
    faulty, later = Faulty(hook), Faulty("on_nothing")
    _, checkpoint, users = run(tmp_path, faulty, later)

    assert isinstance(users.error, RuntimeError)
    assert "_raise" in "".join(traceback.format_exception(users.error)), "with its traceback"
    assert (checkpoint.ended.by, checkpoint.ended.epoch) == (CALLBACK, 3)
    assert checkpoint.history == whole[1].history[:finished]
    assert checkpoint.best_epoch > 0
    assert later.called == [0, 1, 2]
    assert_same(whole, run(tmp_path)[:2])  # Mended, the run goes on as if nothing had been.


def test_ctrl_c_in_one_passes_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Faulty("on_train_batch_end", KeyboardInterrupt()))


def test_they_are_called_as_fit_calls_them(tmp_path):
    class Steps(keras.callbacks.Callback):
        rows, steps, validations, ended, batches = [], 0, 0, 0, 0

        def on_train_begin(self, logs=None):
            assert self.model.optimizer is not None and self.params["epochs"] == EPOCHS

        def on_batch_end(self, batch, logs=None):  # The older name.
            self.batches += 1

        def on_test_end(self, logs=None):
            self.validations += 1

        def on_epoch_end(self, epoch, logs=None):
            self.rows.append(logs["val_loss"])

        def on_train_end(self, logs=None):
            self.ended += 1

    steps = Steps()
    _, checkpoint, users = run(tmp_path, steps)
    assert users.error is None and checkpoint.ended is None
    assert steps.rows == [row["val_loss"] for row in checkpoint.history]
    assert (steps.batches, steps.validations, steps.ended) == (EPOCHS * STEPS, EPOCHS, 1)
    assert np.isfinite(steps.rows).all()


def test_what_is_no_callback_is_refused():
    check_callbacks([keras.callbacks.Callback()])
    with pytest.raises(OptionError, match=r"callbacks must be instances of keras\.callbacks"):
        check_callbacks([print])
