"""The fit loop with mixed labels and with weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_checkpoint import Interrupt
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.losses import CROSS_ENTROPY, make_loss
from toolkit.training.optimization import Optimization

CLASSES = 3


def make_data(count=24):
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 4)).astype(np.float32)
    return features, random.integers(0, CLASSES, count).astype(np.int32)


def train(
    folder,
    arrays,
    validation,
    one_hot=False,
    epochs=3,
    batch_size=8,
    callbacks=(),
    **options,
):
    """A short training of a linear model: its weights, and the history."""
    folder.mkdir(exist_ok=True)
    # Random weights would be others on another backend.
    head = keras.layers.Dense(CLASSES, kernel_initializer="zeros")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, head(inputs))
    checkpoint = Checkpoint(folder, patience=9, start=1e9)
    fine_tune(
        model,
        lambda epochs: (
            tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size).repeat(len(epochs))
        ),
        tf.data.Dataset.from_tensors(validation),
        one_hot=one_hot,
        steps_per_epoch=-(-len(arrays[0]) // batch_size),
        epochs=epochs,
        optimization=Optimization(0.1, 0.0, **options),
        checkpoint=checkpoint,
        callbacks=list(callbacks),
    )
    return model.get_weights(), checkpoint.history


def mixed_and_weighted(folder):
    """The history of a training on mixed labels with weights; the last batch is one image."""
    features, labels = make_data(17)
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    mixed = np.float32(0.7) * targets + np.float32(0.3) * targets[::-1]
    weights = mixed @ np.array([0.5, 2, 1], np.float32)
    return train(folder, (features, mixed, weights), (features, targets), one_hot=True)[1]


def averaged_and_resumed(folder):
    """Histories of trainings with a plateau, averaged weights and a focal loss: whole, resumed."""
    options = {"schedule": "plateau", "ema": 0.5, "loss": "focal", "label_smoothing": 0.1}
    return whole_and_resumed(folder, options)


def last_averaged_and_resumed(folder):
    """Histories of trainings with the mean of the last epochs' weights: whole, resumed."""
    return whole_and_resumed(folder, {"swa": 0.6})


def whole_and_resumed(folder, options):
    """The history of a training, and that of one that was interrupted after four epochs."""
    features, labels = make_data()
    wrong = features, (labels + 1) % CLASSES  # So that validation gets worse.
    folder.mkdir(exist_ok=True)
    data = (features, labels), wrong
    _, whole = train(folder / "whole", *data, epochs=6, **options)
    with pytest.raises(KeyboardInterrupt):
        train(folder / "left", *data, epochs=6, callbacks=[Interrupt(4)], **options)
    _, resumed = train(folder / "left", *data, epochs=6, **options)
    return whole + resumed


def test_a_plateau_averages_and_a_focal_loss_survive_an_interruption(tmp_path):
    history = averaged_and_resumed(tmp_path)
    assert history[:6] == history[6:]
    assert history[5]["learning_rate"] == pytest.approx(0.1 * 0.2), "there was a plateau"


def test_the_mean_of_the_last_epochs_survives_an_interruption(tmp_path):
    history = last_averaged_and_resumed(tmp_path)
    assert history[:6] == history[6:]
    assert history[5]["learning_rate"] == pytest.approx(0.1 / 2), "it is the end of the run"


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("options", [{"loss": "focal"}, {"label_smoothing": 0.1}], ids=str)
def test_whatever_is_minimized_validation_measures_cross_entropy(tmp_path, one_hot, options):
    features, labels = make_data(8)
    data = features, np.eye(CLASSES, dtype=np.float32)[labels] if one_hot else labels
    weights, [row] = train(tmp_path, data, data, one_hot, epochs=1, **options)
    logits = features @ weights[0] + weights[1]
    losses = keras.ops.convert_to_numpy(make_loss(CROSS_ENTROPY, 0.0)(labels, logits))
    assert row["val_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    # All logits are 0 in the one training step.
    expected = np.log(3) * (4 / 9 if "loss" in options else 1)
    assert row["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("options", [{"loss": "focal"}, {"label_smoothing": 0.1}], ids=str)
def test_weights_count_in_every_loss(tmp_path, options):
    features, labels = make_data(8)
    weights = np.array([2, 0, 1, 1, 2, 0, 1, 1], np.float32)
    rows = np.repeat(np.arange(8), weights.astype(int))
    validation = features, labels
    one, _ = train(tmp_path / "weights", (features, labels, weights), validation, **options)
    two, _ = train(tmp_path / "rows", (features[rows], labels[rows]), validation, **options)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_one_hot_labels_train_as_their_numbers_do(tmp_path):
    features, labels = make_data()
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    one, sparse = train(tmp_path / "sparse", (features, labels), (features, labels))
    two, categorical = train(tmp_path / "hot", (features, targets), (features, targets), True)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for a, b in zip(sparse, categorical, strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_weights_of_1_change_no_bit(tmp_path):
    features, labels = make_data()
    ones = np.ones(len(labels), np.float32)
    one, history = train(tmp_path / "plain", (features, labels), (features, labels))
    two, same = train(tmp_path / "ones", (features, labels, ones), (features, labels))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert history == same


def test_an_image_that_counts_double_is_as_good_as_two(tmp_path):
    features, labels = make_data(8)
    weights = np.array([2, 0, 1, 1, 2, 0, 1, 1], np.float32)
    rows = np.repeat(np.arange(8), weights.astype(int))
    one, history = train(tmp_path / "weights", (features, labels, weights), (features, labels))
    two, repeated = train(tmp_path / "rows", (features[rows], labels[rows]), (features, labels))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in repeated])


def test_a_mixed_image_is_as_good_as_its_parts(tmp_path):
    features, labels = make_data(4)
    others = (labels + 1) % CLASSES
    eye = np.eye(CLASSES, dtype=np.float32)
    targets = np.float32(0.75) * eye[labels] + np.float32(0.25) * eye[others]
    parts = np.concatenate([features] * 4), np.concatenate([labels] * 3 + [others])
    validation = features, eye[labels]
    one, mixed = train(tmp_path / "mixed", (features, targets), validation, True, batch_size=4)
    two, apart = train(tmp_path / "parts", parts, (features, labels), batch_size=16)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert [row["val_loss"] for row in mixed] == pytest.approx([row["val_loss"] for row in apart])


@pytest.mark.parametrize("one_hot", [False, True])
def test_accuracy_is_not_weighted(tmp_path, one_hot):
    features, labels = make_data()
    targets = np.eye(CLASSES, dtype=np.float32)[labels] if one_hot else labels
    weights = np.linspace(0, 2, len(labels), dtype=np.float32)
    _, [row] = train(
        tmp_path, (features, targets, weights), (features, targets), one_hot, 1, batch_size=24
    )
    assert row["accuracy"] * len(labels) == pytest.approx(round(row["accuracy"] * len(labels)))
    validated = {"val_loss", "val_accuracy", "val_calibrated_loss"}
    assert set(row) == {"epoch", "loss", "accuracy", "learning_rate"} | validated
