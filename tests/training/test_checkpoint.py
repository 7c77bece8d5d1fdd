import logging
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from toolkit.training import checkpoint as checkpoint_module
from toolkit.training.checkpoint import STATE, Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.optimization import Optimization
from toolkit.training.schedules import plateau_factor

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.slow,
]

EPOCHS, STEPS = 6, 3


def make_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    frozen = keras.layers.Conv2D(3, 3, activation="relu", trainable=False)(inputs)
    frozen = keras.layers.BatchNormalization(trainable=False)(frozen)
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(frozen)
    hidden = keras.layers.Dropout(0.4)(keras.layers.Flatten()(hidden))
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def make_batch(seed: list[int], count: int = 8):
    random = np.random.default_rng(seed)
    images = random.normal(size=(count, 6, 6, 1)).astype(np.float32)
    return images, (images.sum((1, 2, 3)) > 0).astype(np.int32) + (images[:, 0, 0, 0] > 1)


def training(epochs: range):
    """Batches that differ from epoch to epoch, as augmentation makes them."""
    for epoch in epochs:
        yield from (make_batch([epoch, step]) for step in range(STEPS))


VALIDATION = tf.data.Dataset.from_tensors(make_batch([99], 32))


class Interrupt(keras.callbacks.Callback):
    """Ends the process, as far as a test can, after so many epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self._epochs:
            raise KeyboardInterrupt


def run(
    folder,
    *callbacks,
    patience=EPOCHS,
    start=100.0,
    learning_rate=0.05,
    epochs=EPOCHS,
    keep_every=0,
    **options,
):
    """A run on a fresh model; gives model and checkpoint."""
    checkpoint, model = Checkpoint(folder, patience, start, keep_every=keep_every), make_model()
    fine_tune(
        model,
        training,
        VALIDATION,
        steps_per_epoch=STEPS,
        epochs=epochs,
        optimization=Optimization(learning_rate, 0.01, **options),
        checkpoint=checkpoint,
        callbacks=list(callbacks),
    )
    return model, checkpoint


def test_snapshots_are_the_weights_after_each_so_many_epochs(whole, tmp_path):
    weights = []
    seen = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(seen.model.get_weights())
    )
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupt(3), keep_every=2)
    model, checkpoint = run(tmp_path, seen, keep_every=2)
    assert checkpoint.snapshots == 3
    # The first was kept before the run was interrupted; the others end epochs 4 and 6.
    for number, expected in ((2, weights[0]), (3, weights[2])):
        checkpoint.restore_snapshot(model, number)
        for one, two in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, two)
    checkpoint.restore_snapshot(model, 1)
    assert any((a != b).any() for a, b in zip(model.get_weights(), expected, strict=True))
    assert checkpoint.history == whole[2].history, "nothing else is changed by them"


def state(folder) -> dict[str, np.ndarray]:
    with np.load(folder / STATE) as saved:
        return dict(saved)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its folder, model and checkpoint."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *run(folder)


def assert_same_run(whole, folder, model, checkpoint):
    whole_folder, whole_model, whole_checkpoint = whole
    assert checkpoint.history == whole_checkpoint.history
    assert checkpoint.best_epoch == whole_checkpoint.best_epoch
    for one, two in zip(whole_model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    one, two = state(whole_folder), state(folder)  # Also of the last epoch, and the optimizer's.
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_the_history_has_a_row_for_each_epoch(whole):
    _, _, checkpoint = whole

    assert [row["epoch"] for row in checkpoint.history] == [1, 2, 3, 4, 5, 6]
    validated = {"val_loss", "val_accuracy", "val_calibrated_loss"}
    names = {"epoch", "loss", "accuracy", "learning_rate"} | validated
    assert all(set(row) == names for row in checkpoint.history)
    # Warm-up is one of the 18 steps; then the cosine falls to 0 over the other 17.
    for row in checkpoint.history:
        cosine = (1 + np.cos(np.pi * (row["epoch"] * STEPS - 1) / 17)) / 2
        assert row["learning_rate"] == pytest.approx(0.05 * cosine, abs=1e-7)


def test_the_best_weights_are_kept_not_the_last(whole):
    _, model, checkpoint = whole
    losses = [row["val_loss"] for row in checkpoint.history]

    assert checkpoint.best_epoch == np.argmin(losses) + 1
    assert checkpoint.best_epoch < EPOCHS  # Or this would show nothing.
    found, *_ = model.evaluate(VALIDATION, verbose=0)
    assert found == pytest.approx(min(losses), rel=1e-5)
    assert found < losses[-1]


def test_the_same_run_gives_the_same_bits(whole, tmp_path):
    # Or equality after an interruption could not be asked for.
    assert_same_run(whole, tmp_path, *run(tmp_path))


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(whole, tmp_path, epochs):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupt(epochs))
    assert len(Checkpoint(tmp_path, EPOCHS, 100.0).history) == 0

    assert_same_run(whole, tmp_path, *run(tmp_path))


def test_interrupted_again_and_again(whole, tmp_path):
    for epochs in (1, 2, 4, 5):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, Interrupt(epochs))

    assert_same_run(whole, tmp_path, *run(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "plateau", "ema": 0.8, "loss": "focal"},
        {"swa": 0.5},
        {"schedule": "one-cycle", "optimizer": "nadam", "label_smoothing": 0.1},
        {"optimizer": "adafactor"},
    ],
    ids=str,
)
def test_an_interrupted_run_goes_on_so_with(tmp_path, options):
    folders = [tmp_path / name for name in ("whole", "interrupted")]
    for folder in folders:
        folder.mkdir()
    whole = folders[0], *run(folders[0], **options)
    with pytest.raises(KeyboardInterrupt):
        run(folders[1], Interrupt(4), **options)

    assert_same_run(whole, folders[1], *run(folders[1], **options))


def test_the_learning_rate_falls_where_validation_stands_still(tmp_path):
    _, checkpoint = run(tmp_path, schedule="plateau", warmup=0.0)
    losses = [row["val_loss"] for row in checkpoint.history]
    rates = [row["learning_rate"] for row in checkpoint.history]
    expected = [0.05 * plateau_factor(losses[:epoch]) for epoch in range(EPOCHS)]
    assert rates == pytest.approx(expected)
    assert rates[-1] < 0.02, "or this would show nothing"


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A run with a moving average: model, checkpoint, and by hand the averages of each epoch."""
    averages, found = [], []

    class Average(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights = [np.array(v, np.float64) for v in self.model.trainable_variables]
            if found:
                weights = [0.8 * a + 0.2 * w for a, w in zip(found, weights, strict=True)]
            found[:] = weights

        def on_epoch_end(self, epoch, logs=None):
            averages.append(list(found))

    return *run(tmp_path_factory.mktemp("averaged"), Average(), ema=0.8), averages


def test_the_best_epochs_averages_are_what_is_restored(averaged):
    model, checkpoint, averages = averaged
    expected = averages[checkpoint.best_epoch - 1]
    assert 1 <= checkpoint.best_epoch < EPOCHS, "or this would show nothing"
    for one, two in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_averages_are_what_is_validated(averaged):
    _, checkpoint, averages = averaged
    assert_validated(checkpoint, averages)


def assert_validated(checkpoint, averages):
    """That validation measured these weights."""
    model = make_model()
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    for row, weights in zip(checkpoint.history, averages, strict=True):
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)
        found = model.evaluate(VALIDATION, verbose=0)
        assert found == pytest.approx([row["val_loss"], row["val_accuracy"]], abs=1e-5)


@pytest.fixture(scope="module")
def last_averaged(tmp_path_factory):
    """A run with a mean of its last epochs: model, checkpoint, by hand the mean of each epoch."""
    ends, means = [], []

    class Mean(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            ends.append([np.array(v, np.float64) for v in self.model.trainable_variables])
            gathered = ends[3:] or ends[-1:]
            means.append([np.mean(values, axis=0) for values in zip(*gathered, strict=True)])

    folder = tmp_path_factory.mktemp("last-averaged")
    return *run(folder, Mean(), swa=0.5, learning_rate=0.005), means


def test_the_mean_of_the_last_epochs_is_validated_and_kept(last_averaged):
    model, checkpoint, means = last_averaged
    assert checkpoint.best_epoch > 4, "or this would show nothing"
    for one, two in zip(model.trainable_variables, means[checkpoint.best_epoch - 1], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    assert_validated(checkpoint, means)


def test_training_itself_goes_on_to_the_bit_as_without_averages(averaged, whole):
    for name in ("loss", "accuracy", "learning_rate"):
        one, two = ([row[name] for row in each.history] for each in (averaged[1], whole[2]))
        assert one == two


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What is there where a run is killed just before it writes file 1, 2, ...: folders."""
    folder, copies = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("left")
    save, found = checkpoint_module._save, []

    def copy_and_save(*arguments):
        found.append(shutil.copytree(folder, copies / str(len(found) + 1)))
        save(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_module, "_save", copy_and_save)
        run(folder)
    return found


@pytest.mark.parametrize("number", range(1, 9))
def test_killed_while_any_file_is_written(whole, left, tmp_path, number):
    folder = shutil.copytree(left[number - 1], tmp_path / "run")

    assert_same_run(whole, folder, *run(folder))


def test_a_best_whose_state_was_not_written_does_not_count(tmp_path, monkeypatch):
    # The next try of that epoch may round differently and not be better.
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupt(1))
    (best,) = tmp_path.glob("best-*")
    shutil.copy(tmp_path / STATE, tmp_path / "saved")
    model, later = make_model(), Checkpoint(tmp_path, EPOCHS, 100.0)
    model.compile(checkpoint_module.keras.optimizers.Adam())
    before = best.read_bytes()
    later.set_model(model)
    later.history = [{"epoch": 1, "val_loss": 50.0}]
    later.best_epoch = 1

    def killed(path, values, record):
        if path.name == STATE:
            raise KeyboardInterrupt
        path.write_bytes(b"better")

    monkeypatch.setattr(checkpoint_module, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        later.on_epoch_end(1, {"val_loss": 0.001})

    assert best.read_bytes() == before


def test_surpassed_weights_are_deleted(whole):
    folder, _, checkpoint = whole

    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"best-{checkpoint.best_epoch}.npz", STATE]


def test_a_finished_run_is_not_run_again(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")

    def fail(epochs):
        raise AssertionError

    again, fresh = Checkpoint(tmp_path / "run", EPOCHS, 100.0), make_model()
    fine_tune(
        fresh,
        fail,
        VALIDATION,
        steps_per_epoch=STEPS,
        epochs=EPOCHS,
        optimization=Optimization(0.05, 0.01),
        checkpoint=again,
        callbacks=[],
    )
    assert_same_run(whole, tmp_path / "run", fresh, again)


DAMAGE = {
    "empty state": (STATE, lambda whole: b""),
    "cut state": (STATE, lambda whole: whole[: len(whole) // 2]),
    "text for a state": (STATE, lambda whole: b"Dear diary"),
    "flipped bits in the state": (
        STATE,
        lambda whole: whole[:200] + bytes(b ^ 255 for b in whole[200:260]) + whole[260:],
    ),
    "cut best": ("best-*", lambda whole: whole[:-30]),
    "no best": ("best-*", None),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_said_and_training_starts_anew(whole, left, tmp_path, caplog, damage):
    shutil.copytree(left[4], tmp_path, dirs_exist_ok=True)
    pattern, change = DAMAGE[damage]
    (path,) = tmp_path.glob(pattern)
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))

    with caplog.at_level(logging.WARNING, "toolkit"):
        model, checkpoint = run(tmp_path)

    (message,) = caplog.messages
    assert "state of the unfinished training is damaged: starting anew" in message
    assert_same_run(whole, tmp_path, model, checkpoint)


def test_no_damage_to_the_state_raises(tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupt(1))
    data = (tmp_path / STATE).read_bytes()
    random = np.random.default_rng(0)
    model = make_model()
    model.compile(keras.optimizers.AdamW(weight_decay=0.01))
    found = set()
    for _ in range(60):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 3):
            damaged[place] = random.integers(256)
        (tmp_path / STATE).write_bytes(damaged)
        found.add(Checkpoint(tmp_path, 3, 100.0).resume(model))
    assert found <= {0, 1}
    assert 0 in found


def test_the_state_of_another_model_is_not_taken(tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupt(2))
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    other.compile(keras.optimizers.AdamW())
    before = other.get_weights()

    assert Checkpoint(tmp_path, 3, 100.0).resume(other) == 0

    assert "is of another model" in caplog.text
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


class TestPatience:
    """Epochs with given validation losses."""

    @pytest.fixture
    def epochs(self, tmp_path):
        def go(losses, patience, start):
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
            model.compile("sgd")
            model.stop_training = False
            model.set_weights([np.array([[-1.0]])])
            checkpoint = Checkpoint(tmp_path, patience, start)
            assert checkpoint.resume(model) == 0
            checkpoint.set_model(model)
            for epoch, loss in enumerate(losses):
                model.set_weights([np.array([[float(epoch + 1)]])])
                checkpoint.on_epoch_end(epoch, {"loss": 0.0, "val_loss": loss})
                if model.stop_training:
                    break
            return model, checkpoint

        return go

    @pytest.mark.parametrize(
        ("losses", "patience", "ended", "best"),
        [
            ([0.9, 0.8, 0.85, 0.84, 0.1], 2, 4, 2),
            ([0.9, 0.8, 0.85, 0.79, 0.8, 0.8], 2, 6, 4),
            ([0.9, 1.0, 0.1], 1, 2, 1),
            ([1.5, 1.4, 1.3, 0.1], 3, 3, 0),  # Never better than the start.
            ([1.0, 1.0], 2, 2, 0),  # As good is not better.
            ([float("nan"), float("nan"), 0.5], 2, 2, 0),
            ([0.9, float("nan"), 0.8], 2, 3, 3),
            ([0.9, 0.8, 0.7], 1, 3, 3),
        ],
    )
    def test_training_stops_after_so_many_epochs_without_a_gain(
        self, epochs, losses, patience, ended, best
    ):
        model, checkpoint = epochs(losses, patience, start=1.0)

        assert len(checkpoint.history) == ended
        assert checkpoint.best_epoch == best
        assert model.stop_training == checkpoint.out_of_patience
        assert checkpoint.out_of_patience == (ended - best >= patience)

    def test_the_best_epochs_weights_come_back(self, epochs):
        model, checkpoint = epochs([0.9, 0.5, 0.6, 0.7], patience=5, start=1.0)

        checkpoint.restore_best(model)
        assert model.get_weights()[0].item() == 2
        checkpoint.restore_start(model)
        assert model.get_weights()[0].item() == -1

    def test_the_starts_weights_come_back_where_none_was_better(self, epochs):
        model, checkpoint = epochs([1.9, 1.5], patience=5, start=1.0)

        checkpoint.restore_best(model)
        assert model.get_weights()[0].item() == -1


def test_a_run_that_is_out_of_patience_stops_and_stays_so(tmp_path):
    _, checkpoint = run(tmp_path, patience=2, start=0.0)
    assert len(checkpoint.history) == 2

    model, again = run(tmp_path, patience=2, start=0.0)

    assert again.history == checkpoint.history
    assert again.best_epoch == 0
    for one, two in zip(make_model().get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_epochs_leave_the_model_as_it_is(tmp_path):
    model, checkpoint = run(tmp_path, epochs=0)

    assert checkpoint.history == []
    for one, two in zip(make_model().get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
