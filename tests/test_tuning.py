"""What fine-tuning trains on: cached activations of augmented views, or the images themselves."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.conftest import write_images
from tests.networks import make_residual, stages_of, with_head
from tests.test_options import GOOD
from toolkit import tuning
from toolkit.cache import cache_folder, entries
from toolkit.classifier import features as features_module
from toolkit.classifier import openvino
from toolkit.classifier import store as store_module
from toolkit.classifier.boundary import cut_below
from toolkit.classifier.engine import BFLOAT16, FLOAT32, KERAS, keras_engine
from toolkit.classifier.model import freeze_below, frozen_layers
from toolkit.data.batches import labelled_batches, training_batches
from toolkit.data.order import steps_per_epoch
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.splits import assign_splits
from toolkit.data.table import TRAIN, VALIDATION
from toolkit.data.views import Views
from toolkit.probing import FrozenNetwork
from toolkit.progress import Reporter
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.optimization import Optimization
from toolkit.tuning import make_training_data

PREPARATION = Preparation(16, 16)
OPTIONS = replace(GOOD, epochs=3, batch_size=8, seed=5, split=(0.6, 0.2, 0.2))
ROW = 2 * 4 * 4 * 8
"""Bytes of the activations below the upper two stages."""


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("photos"), 20)
    scanned = scan(list_source(folder), 10**8, lambda items, *_: items)
    return assign_splits(scanned, OPTIONS.split, OPTIONS.seed)


@pytest.fixture
def said(monkeypatch):
    """What the reporter said."""
    messages = []
    monkeypatch.setattr(Reporter, "say", lambda self, message: messages.append(message))
    return messages


def source_of(table, unfreeze=2, network=None, dropout=0.0, engine=keras_engine, **options):
    """The classifier and what it is trained on."""
    network = network or make_residual()
    model, stages = with_head(network, dropout), stages_of(network)
    trained = freeze_below(model, stages, unfreeze)
    frozen = FrozenNetwork(network, PREPARATION, replace(OPTIONS, **options), Reporter(quiet=True))
    below = frozen_layers(stages, trained)
    return model, make_training_data(model, below, table, frozen, engine(network))


def together(batches):
    firsts, seconds = zip(*(tuple(map(np.asarray, batch)) for batch in batches), strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)


def lower_of(model) -> keras.Model:
    return keras.Model(model.input, model.get_layer("block1_relu").output)


def test_cached_training_sees_what_training_from_images_would(table, said):
    model, source = source_of(table)
    assert (source.views, source.why, source.engine, said) == (3, "", KERAS, [])
    train, views = table.split(TRAIN), Views("light", 5, 3)
    images = list(training_batches(train, PREPARATION, 8, views=views, epochs=range(3)))
    lower = lower_of(model)

    batches = list(source.training(range(3)))

    assert len(batches) == len(images) == 3 * steps_per_epoch(len(train), 8)
    for (values, labels), (pixels, same) in zip(batches, images, strict=True):
        np.testing.assert_array_equal(labels, same)
        expected = lower.predict_on_batch(np.asarray(pixels))
        np.testing.assert_allclose(values, expected, rtol=2**-10, atol=1e-5)
    steps = len(batches) // 3
    epochs = [together(batches[k * steps : (k + 1) * steps]) for k in range(3)]
    by_image = [values[np.argsort(labels, kind="stable")].tobytes() for values, labels in epochs]
    assert len(set(by_image)) == 3, "augmentation is not frozen"


def test_a_resumed_cached_training_goes_on_with_the_next_view(table):
    _, source = source_of(table)
    steps = steps_per_epoch(len(table.split(TRAIN)), 8)
    whole = list(source.training(range(3)))[2 * steps :]
    for one, two in zip(together(whole), together(source.training(range(2, 3))), strict=True):
        np.testing.assert_array_equal(one, two)


def test_with_more_epochs_than_views_the_views_come_again_in_order(table):
    train = table.split(TRAIN)
    _, source = source_of(table, epochs=5, views=2)
    assert source.views == 2
    steps = steps_per_epoch(len(train), 8)
    batches = list(source.training(range(5)))
    epochs = [together(batches[k * steps : (k + 1) * steps]) for k in range(5)]

    def sorted_rows(epoch):
        values, labels = epochs[epoch]
        return sorted(row.tobytes() for row in values), sorted(labels)

    assert sorted_rows(0) == sorted_rows(2) == sorted_rows(4)
    assert sorted_rows(1) == sorted_rows(3)
    assert sorted_rows(0) != sorted_rows(1)
    assert epochs[0][1].tolist() != epochs[2][1].tolist(), "in another order"


def test_validation_is_never_augmented(table):
    model, source = source_of(table)
    validation = table.split(VALIDATION)
    [(images, labels)] = labelled_batches(validation, PREPARATION, 64)
    expected = lower_of(model).predict_on_batch(np.asarray(images))
    for _ in range(2):
        values, same = together(source.validation)
        np.testing.assert_allclose(values, expected, rtol=2**-10, atol=1e-5)
        np.testing.assert_array_equal(same, labels)

    _, from_images = source_of(table, views=0)
    np.testing.assert_array_equal(together(from_images.validation)[0], images)


def test_where_only_the_head_is_trained_pooled_features_are_cached(table, said):
    model, source = source_of(table, unfreeze=0)
    values, _ = together(source.training(range(1)))
    assert source.views == 3 and said == []
    assert values.shape == (len(table.split(TRAIN)), 8)
    assert source.model.output_shape == (None, 3)
    assert len(source.model.trainable_variables) == 2 == len(model.trainable_variables)


def train_on(source, folder):
    """The history of a short training."""
    checkpoint = Checkpoint(folder, patience=9, start=1e9)
    keras.utils.set_random_seed(0)
    fine_tune(
        source.model,
        source.training,
        source.validation,
        steps_per_epoch=steps_per_epoch(TRAINED, 8),
        epochs=3,
        optimization=Optimization(3e-3, 1e-3),
        checkpoint=checkpoint,
        callbacks=[],
    )
    return checkpoint.history


def histories(history, *names):
    return np.array([[row[name] for name in names] for row in history])


def test_training_from_views_and_from_images_gives_nearly_the_same_history(table, tmp_path):
    found, weights = [], []
    for views in (None, 0):
        model, source = source_of(table, views=views, dropout=0.2)
        assert source.views == (3 if views is None else 0)
        folder = tmp_path / f"{views}"
        folder.mkdir()
        found.append(train_on(source, folder))
        weights.append(model.get_weights())

    # Activations are rounded to float16, by 2^-11 at most, which training carries on.
    losses = [histories(history, "loss", "val_loss", "learning_rate") for history in found]
    np.testing.assert_allclose(*losses, rtol=3e-3)
    accuracies = [histories(history, "accuracy", "val_accuracy") for history in found]
    np.testing.assert_allclose(*accuracies, atol=1.01 / len(table.split(VALIDATION)))
    assert losses[0][0, 0] > 1.02 * losses[0][-1, 0], "it has learned something"
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-3)


def test_cached_training_leaves_what_is_frozen_and_all_batch_statistics_bit_identical(
    table, tmp_path
):
    model, source = source_of(table, dropout=0.2)
    before = {weight.path: np.array(weight) for weight in model.weights}

    train_on(source, tmp_path)

    changed = {w.path for w in model.weights if not np.array_equal(before[w.path], w)}
    assert changed == {w.path for w in model.trainable_variables}
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.name for layer in norms} == {"stem_bn", "block1_bn", "block2_bn"}
    assert changed.isdisjoint(w.path for layer in norms for w in layer.weights)


def test_training_goes_on_when_another_process_evicts_its_views(table, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SMALL_SHARD_BYTES", 0)  # They are mapped, as many are.
    _, kept = source_of(table)
    expected = train_on(kept, tmp_path)
    _, source = source_of(table)
    shutil.rmtree(cache_folder())
    (tmp_path / "again").mkdir()
    assert train_on(source, tmp_path / "again") == expected


def make_two_lanes() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    one = keras.layers.Conv2D(4, 3, strides=4, name="stem_one")(inputs)
    two = keras.layers.Conv2D(4, 3, strides=4, name="stem_two")(inputs)
    joined = keras.layers.Add(name="meeting_add")([one, two])
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="meeting_pool")(joined))


def make_wide() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    wide = keras.layers.Conv2D(4, 3, padding="same", name="wide_conv")(inputs)
    top = keras.layers.Conv2D(4, 3, strides=4, name="top_conv")(wide)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="top_pool")(top))


NO_PLACE = "there is no one place below which the network is frozen"
LARGE = "the activations below the trained stages are larger than the images"
FALLBACKS = {
    "nothing frozen": ({"unfreeze": 5}, NO_PLACE),
    "two tensors cross": ({"network": make_two_lanes, "unfreeze": 1}, NO_PLACE),
    "rows larger than images": ({"network": make_wide, "unfreeze": 1}, LARGE),
    "no cache": (
        {"cache_size": 0},
        "one view takes 0.0 GB, more than --cache-size has room for",
    ),
    "a small cache": (
        {"cache_size": 2000},
        "one view takes 0.0 GB, more than --cache-size has room for",
    ),
}


@pytest.mark.parametrize("why", FALLBACKS)
def test_training_reads_the_images_with_a_message_where_there_is(table, said, why):
    options, reason = FALLBACKS[why]
    network = options.get("network", make_residual)()

    model, source = source_of(table, **{**options, "network": network})

    assert (source.views, source.why, source.engine) == (0, reason, "")
    assert said == [f"Training reads the images: {reason}."]
    values, labels = next(iter(source.training(range(1))))
    expected = training_batches(
        table.split(TRAIN), PREPARATION, 8, views=Views("light", 5, 0), epochs=range(1)
    )
    images, same = next(iter(expected))
    np.testing.assert_array_equal(values, images)
    np.testing.assert_array_equal(labels, same)
    assert source.model.input_shape == model.input_shape
    assert [entry for entry in entries() if entry.kind == "views"] == []


def test_with_mixing_training_reads_the_images_and_validation_is_never_mixed(table, said):
    _, source = source_of(table, mix="mixup+cutmix")

    reason = "--mix draws other pairs of images in each epoch"
    assert (source.views, source.why, source.one_hot) == (0, reason, True)
    assert said == [f"Training reads the images: {reason}."]
    assert [entry for entry in entries() if entry.kind == "views"] == []
    train, views = table.split(TRAIN), Views("light", 5, 0)
    expected = training_batches(
        train, PREPARATION, 8, views=views, epochs=range(3), mix="mixup+cutmix"
    )
    for one, two in zip(together(source.training(range(3))), together(expected), strict=True):
        np.testing.assert_array_equal(one, two)
    [(images, labels)] = labelled_batches(table.split(VALIDATION), PREPARATION, 64)
    for _ in range(2):
        pixels, targets = together(source.validation)
        np.testing.assert_array_equal(pixels, images)
        np.testing.assert_array_equal(targets, np.eye(3)[labels])


@pytest.mark.parametrize("views", [None, 0])
def test_weights_follow_the_labels_and_validation_has_none(table, views):
    _, plain = source_of(table, views=views)
    _, source = source_of(table, views=views, imbalance="class-weights")
    counts = np.bincount(table.split(TRAIN).labels)
    assert len(set(counts)) > 1, "so that weights differ"
    batches = zip(source.training(range(2)), plain.training(range(2)), strict=True)
    for (values, labels, weights), (same, same_labels) in batches:
        np.testing.assert_array_equal(values, same)
        np.testing.assert_array_equal(labels, same_labels)
        expected = counts.sum() / (3 * counts[labels.numpy()])
        np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert source.views == plain.views == (3 if views is None else 0)
    assert len(source.validation.element_spec) == 2


def test_a_mixed_images_weight_is_the_mixture_of_its_classes_weights(table):
    _, source = source_of(table, mix="mixup", imbalance="class-weights")
    counts = np.bincount(table.split(TRAIN).labels)
    for _, targets, weights in source.training(range(1)):
        expected = targets.numpy() @ (counts.sum() / (3 * counts))
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_resampled_classes_come_equally_often_from_the_cache_as_from_images(table):
    train = table.split(TRAIN)
    assert len(set(np.bincount(train.labels))) > 1, "so that resampling changes something"
    steps, labels = steps_per_epoch(len(train), 8), {}
    for views in (None, 0):
        _, source = source_of(table, views=views, imbalance="resample")
        batches = [np.asarray(each) for _, each in source.training(range(3))]
        tail = [np.asarray(each) for _, each in source.training(range(1, 3))]
        labels[views] = [np.concatenate(batches[k * steps : (k + 1) * steps]) for k in range(3)]
        np.testing.assert_array_equal(np.concatenate(batches[steps:]), np.concatenate(tail))
    for cached, read in zip(labels[None], labels[0], strict=True):
        np.testing.assert_array_equal(cached, read)
        counts = np.bincount(cached)
        assert len(cached) == len(train) and counts.max() - counts.min() <= 1


def test_a_resampled_row_comes_with_its_own_label(table):
    train = table.split(TRAIN)
    _, source = source_of(table, views=0, imbalance="resample", augment="none")
    [(images, labels)] = labelled_batches(train, PREPARATION, 1000)
    known = {image.tobytes(): label for image, label in zip(images.numpy(), labels, strict=True)}
    for values, same in source.training(range(1)):
        for image, label in zip(values.numpy(), same, strict=True):
            assert known[image.tobytes()] == label


@pytest.mark.parametrize("options", [{"views": 0}, {"epochs": 0}, {"epochs": 0, "views": 3}])
def test_no_message_where_nothing_else_is_asked_for(table, said, options):
    _, source = source_of(table, **options)
    assert source.views == 0 and said == []
    assert source.why == "no cached views are asked for"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_training_reads_the_images_where_the_disk_has_no_room(table, said, monkeypatch, when):
    if when == "before":
        monkeypatch.setattr(features_module, "free_bytes", lambda folder: 1 << 20)
        reason = "views take 0.0 GB, the disk has 0.0 GB"
    else:

        def fail(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "save", fail)
        reason = "the cache cannot be written"

    _, source = source_of(table)

    assert (source.views, source.why) == (0, reason)
    assert said == [f"Training reads the images: {reason}."]
    assert next(iter(source.training(range(1))))[0].shape == (8, 16, 16, 3)


def test_a_disk_that_fills_while_views_are_made(table, said, caplog, monkeypatch, small_disk):
    cache = small_disk("cache", "28k")
    monkeypatch.setenv("TOOLKIT_CACHE", str(cache))
    monkeypatch.setattr(features_module, "SHARD_BYTES", 0)  # Each batch is written at once.
    monkeypatch.setattr(features_module, "free_bytes", lambda folder: 1 << 40)

    _, source = source_of(table)

    reason = "the cache cannot be written"
    assert (source.views, source.why) == (0, reason)
    assert said == [f"Training reads the images: {reason}."]
    assert caplog.text.count("The cache cannot be written (") == 1
    assert [entry for entry in entries() if entry.kind == "views"] == [], "their room is free"
    assert next(iter(source.training(range(1))))[0].shape == (8, 16, 16, 3)


TRAINED, VALIDATED = 34, 10


@pytest.fixture(scope="module")
def cut():
    network = make_residual()
    model, stages = with_head(network), stages_of(network)
    return cut_below(model, frozen_layers(stages, freeze_below(model, stages, 2)))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"epochs": 3}, 3),  # One for each epoch,
        ({"epochs": 8}, 8),
        ({"epochs": 100}, 8),  # at most 8.
        ({"epochs": 100, "views": 20}, 20),
        ({"epochs": 5, "views": 20}, 5),
        ({"epochs": 5, "views": 2}, 2),
        ({"epochs": 5, "augment": "none"}, 1),
        ({"epochs": 5, "augment": "none", "views": 3}, 1),
        ({"epochs": 8, "augment": "light-no-flip"}, 8),
        # As far as the cache has room, of which a tenth is left to others:
        ({"epochs": 8, "cache_size": -(-(VALIDATED + 3 * TRAINED) * ROW * 10 // 9)}, 3),
        ({"epochs": 8, "cache_size": (VALIDATED + 3 * TRAINED) * ROW * 10 // 9 - 9}, 2),
        ({"epochs": 8, "views": 5, "cache_size": (VALIDATED + 2 * TRAINED) * ROW * 10 // 9 + 9}, 2),
    ],
)
def test_how_many_views_are_cached(table, cut, options, count):
    assert (len(table.split(TRAIN)), len(table.split(VALIDATION))) == (TRAINED, VALIDATED)
    network = FrozenNetwork(None, PREPARATION, replace(OPTIONS, **options), Reporter(quiet=True))

    views, why = tuning._plan(cut, table, network)

    assert views == Views(options.get("augment", "light"), OPTIONS.seed, count)
    assert why == ""


def test_a_cache_holds_no_more_than_its_size_while_views_are_made(table):
    size = (VALIDATED + 3 * TRAINED) * ROW * 10 // 9 + 5000
    for seed in range(2):
        _, source = source_of(table, epochs=8, cache_size=size, seed=seed)
        assert source.views == 3
        assert sum(entry.bytes for entry in entries()) <= size + 20_000  # Keys and digests.
    assert len([entry for entry in entries() if entry.kind == "views"]) < 6


def test_the_engine_of_the_features_runs_the_lower_part_too_where_it_agrees(table, said):
    _, source = source_of(
        table, engine=lambda network: replace(keras_engine(network), name=FLOAT32)
    )
    assert source.engine == FLOAT32
    exact = together(source_of(table)[1].training(range(3)))
    values = together(source.training(range(3)))
    np.testing.assert_allclose(values[0], exact[0], rtol=2**-9, atol=1e-4)
    np.testing.assert_array_equal(values[1], exact[1])


def test_the_lower_part_is_run_by_keras_where_the_engine_errs(table, said, monkeypatch, caplog):
    compile_network = openvino.compile_network

    def compile_wrongly(*arguments):
        run = compile_network(*arguments)
        return lambda images: 2 * run(images)

    monkeypatch.setattr(openvino, "compile_network", compile_wrongly)
    _, source = source_of(
        table, engine=lambda network: replace(keras_engine(network), name=BFLOAT16)
    )
    assert source.engine == KERAS and source.views == 3
    assert [message.split()[0] for message in caplog.messages] == [
        "openvino-bfloat16", "openvino-mixed", "openvino-float32"
    ]  # fmt: skip
