"""What fine-tuning reads: cached activations of augmented views, or the images themselves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import keras
import numpy as np

from toolkit.classifier.boundary import Cut, cut_below
from toolkit.classifier.engine import Engine
from toolkit.classifier.features import NoRoomError, compute_views
from toolkit.classifier.model import logits_model
from toolkit.data.batches import labelled_batches, training_batches
from toolkit.data.mix import NONE
from toolkit.data.stored import labelled_rows, stored_batches
from toolkit.data.table import TRAIN, VALIDATION, ImageTable
from toolkit.data.targets import one_hot_batches, weighted_batches
from toolkit.data.views import Views
from toolkit.options import FinetuneOptions
from toolkit.probing import FrozenNetwork
from toolkit.training.imbalance import RESAMPLE, choose_imbalance, loss_weights

MOST_VIEWS = 8
"""Of each image, by default: a longer run sees them again."""

SHARE_OF_CACHE = 0.9
"""That views may take: features and networks are there, too."""

VALIDATION_BATCH = 64


@dataclass(frozen=True)
class TrainingData:
    """What the fit loop trains on.

    Attributes:
        model: Gives logits; images or activations at the boundary are its input.
        training: Gives the batches of a range of epochs, in one stream.
        validation: Batches to measure after each epoch.
        one_hot: Whether labels are shares of classes, not their numbers.
        views: How many views of each image are cached; 0: training reads the images.
        why: Why it reads the images, or "".
        engine: What computed the views, or "".
    """

    model: keras.Model
    training: Callable[[range], Iterable]
    validation: Iterable
    one_hot: bool
    views: int
    why: str
    engine: str


def make_training_data(
    model: keras.Model,
    frozen_layers: list[keras.layers.Layer],
    table: ImageTable,
    network: FrozenNetwork,
    engine: Engine,
    teacher: np.ndarray | None = None,
) -> TrainingData:
    """Takes the activations below the trained stages out of the cache, computed there once.

    Where that cannot be, or would not pay, training reads the images.

    Args:
        model: The whole classifier.
        frozen_layers: Those of the stages that are not trained.
        table: All images with their splits.
        network: How images are prepared, and the job's options.
        engine: What has computed the features; it computes the views, too.
        teacher: What a teacher says of the training images, float32 [N, K]; None: there is none.
    """
    cut = cut_below(model, frozen_layers, network.model.name)
    views, why = _plan(cut, table, network)
    if cut is not None and views.count:
        try:
            return _from_cache(cut, views, table, network, engine, teacher)
        except NoRoomError as error:
            why = str(error)
    if network.options.epochs != 0 and network.options.views != 0:
        network.reporter.say(f"Training reads the images: {why}.")
    return _from_images(model, views, table, network, why, teacher)


def _plan(cut: Cut | None, table: ImageTable, network: FrozenNetwork) -> tuple[Views, str]:
    """How many views of each training image are cached, and if none, why."""
    options = network.options
    views = Views(options.augment, options.seed, _wanted(options, len(table.split(TRAIN))))
    if not views.count:
        return views, "no cached views are asked for"
    if options.mix != NONE:
        return replace(views, count=0), "--mix draws other pairs of images in each epoch"
    if cut is None:
        return replace(views, count=0), "there is no one place below which the network is frozen"
    row = 2 * int(np.prod(cut.lower.output_shape[1:]))
    if row > 2 * int(np.prod(cut.lower.input_shape[1:])):
        why = "the activations below the trained stages are larger than the images"
        return replace(views, count=0), why
    images = len(table.split(TRAIN)), len(table.split(VALIDATION))
    room = int(SHARE_OF_CACHE * options.cache_size) - images[1] * row
    count = max(0, min(views.count, room // (images[0] * row)))
    why = f"one view takes {images[0] * row / 1e9:.1f} GB, more than --cache-size has room for"
    return replace(views, count=count), "" if count else why


def _wanted(options: FinetuneOptions, images: int) -> int:
    epochs = options.epochs_for(images)
    wanted = min(epochs, MOST_VIEWS) if options.views is None else options.views
    return min(wanted, epochs, 1 if options.augment == "none" else wanted)


def _from_cache(
    cut: Cut,
    views: Views,
    table: ImageTable,
    network: FrozenNetwork,
    engine: Engine,
    teacher: np.ndarray | None,
) -> TrainingData:
    options, train, validation = network.options, table.split(TRAIN), table.split(VALIDATION)
    lower = replace(network, model=cut.lower)
    engine = lower.engine(engine.name, table)
    stores = compute_views(
        train,
        cut.lower,
        network.preparation,
        engine,
        views,
        network.reporter.progress,
        options.cache_size,
    )
    rows, weights = [store.rows(list(train.digests)) for store in stores], _weights(train, options)
    measured = lower.features(
        validation, engine, dtype="float16", description="Computing validation"
    )
    validated = labelled_rows(
        measured.store.rows(list(validation.digests)), validation.labels, VALIDATION_BATCH
    )
    one_hot = teacher is not None
    return TrainingData(
        model=cut.upper,
        training=lambda epochs: weighted_batches(
            stored_batches(
                rows,
                train.labels,
                options.batch_size,
                seed=options.seed,
                epochs=epochs,
                resample=_resampled(train, options),
                teacher=teacher,
            ),
            weights,
        ),
        validation=one_hot_batches(validated, len(table.classes)) if one_hot else validated,
        one_hot=one_hot,
        views=views.count,
        why="",
        engine=engine.name,
    )


def _from_images(
    model: keras.Model,
    views: Views,
    table: ImageTable,
    network: FrozenNetwork,
    why: str,
    teacher: np.ndarray | None,
) -> TrainingData:
    options, train, validation = network.options, table.split(TRAIN), table.split(VALIDATION)
    preparation, weights = network.preparation, _weights(train, options)
    measured = labelled_batches(validation, preparation, VALIDATION_BATCH)
    one_hot = options.mix != NONE or teacher is not None
    return TrainingData(
        model=logits_model(model),
        training=lambda epochs: weighted_batches(
            training_batches(
                train,
                preparation,
                options.batch_size,
                views=views,
                epochs=epochs,
                mix=options.mix,
                resample=_resampled(train, options),
                teacher=teacher,
            ),
            weights,
        ),
        validation=one_hot_batches(measured, len(table.classes)) if one_hot else measured,
        one_hot=one_hot,
        views=0,
        why=why,
        engine="",
    )


def _weights(train: ImageTable, options: FinetuneOptions) -> np.ndarray | None:
    return loss_weights(options.imbalance, train.labels, len(train.classes))


def _resampled(train: ImageTable, options: FinetuneOptions) -> bool:
    chosen, _ = choose_imbalance(options.imbalance, train.labels)
    return chosen == RESAMPLE
