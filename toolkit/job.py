"""The main job: from a folder of photos to a classifier that can be served."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from toolkit import backbones
from toolkit.backbones.pooling import AVG, check_pooling
from toolkit.backbones.standardize import BACKBONE, check_normalization, standardize
from toolkit.cache import DEFAULT_SIZE, make_room, parse_size
from toolkit.classifier.engine import check_engine
from toolkit.classifier.head import LINEAR
from toolkit.classifier.model import attach_head, freeze_below, frozen_layers
from toolkit.clock import Clock
from toolkit.data.batches import labelled_batches, steps_per_epoch
from toolkit.data.decode import MAX_PIXELS
from toolkit.data.perceptual_hash import group_near_duplicates
from toolkit.data.policies import check_draws, choose_policy
from toolkit.data.prepare import CENTER, Preparation, check_crop
from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.splits import check_classes, fix_splits
from toolkit.data.statistics import measure_pixels
from toolkit.data.table import TEST, TRAIN, VALIDATION, ImageTable
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.head_start import HeadStart, start_head
from toolkit.options import FinetuneOptions, check_unfreeze, model_name
from toolkit.probing import FrozenNetwork, compute_split_features, fit_on_features
from toolkit.progress import Reporter
from toolkit.result import FinetuneResult, summary
from toolkit.run_record import data_digest, run_record
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.progress import TrainingProgress
from toolkit.tuning import TrainingData, make_training_data

if TYPE_CHECKING:
    import albumentations

PROBE, TRAINED_HEAD, FINETUNED = "probe", "head", "finetuned"
PREDICTION_BATCH = 64


def finetune(
    data: str | os.PathLike[str] | Source | Mapping[str, Any],
    backbone: str = "efficientnet-lite0",
    *,
    name: str | None = None,
    models_dir: str | os.PathLike[str] = "models",
    weights: str | os.PathLike[str] = "imagenet",
    weights_mirror: str | None = None,
    image_size: int | None = None,
    crop: str = CENTER,
    normalize: str = BACKBONE,
    split: Sequence[float] | str = "auto",
    unfreeze: int | None = None,
    epochs: int = 6,
    batch_size: int = 32,
    learning_rate: float = 3e-4,
    patience: int = 5,
    dropout: float = 0.2,
    weight_decay: float = 1e-3,
    head: str = "linear",
    head_layers: int | None = None,
    head_width: int | None = None,
    activation: str | None = None,
    head_batchnorm: bool = False,
    initializer: str | None = None,
    l1: float = 0.0,
    l2: float | None = None,
    pooling: str = AVG,
    augment: "str | os.PathLike[str] | albumentations.BaseCompose" = "auto",
    mix: str = "none",
    class_weights: str = "none",
    views: int | None = None,
    engine: str = "auto",
    cache_size: str | int = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    resume: bool = False,
    quiet: bool = False,
) -> FinetuneResult:
    """Trains a classifier on labelled images, measures it and saves it as a bundle.

    Pooled features of the frozen backbone are computed once and kept in the cache; a probe
    (logistic regression) is fitted on them; its weights become the head of the network, whose top
    stages are then fine-tuned. What is better on the validation split is kept, measured once on
    the test split, and saved as `models_dir/name/VERSION/`.

    Args:
        data: Labelled images: a folder, a manifest, "tfds:NAME" or "sample:digits"; a
            `toolkit.Source` says more of them.
        backbone: The pretrained network; `toolkit backbones` lists them.
        name: To save under; by default the data folder's name.
        models_dir: The model repository.
        weights: "imagenet", "random", or a file of weights.
        weights_mirror: Base URL of an own web server with the published weights' files.
        image_size: Height and width in pixels of the network's input; by default its own.
        crop: How an image gets the network's aspect ratio: "center" (its largest centred part),
            "squash" (all of it, stretched) or "pad" (all of it, with bars).
        normalize: "backbone": as the network's weights expect. Otherwise the training images are
            given the mean and deviation that these expect, by their own statistics:
            "channel-mean", "channel-mean-std", "mean-image", "pca" or "zca" (whitened colours).
        split: Shares of train, validation and test, where the data has no such folders or column.
            "auto": 0.7, 0.15, 0.15 up to 10,000 images, towards 0.98, 0.01, 0.01 for a million.
        unfreeze: How many of the backbone's top stages are trained; by default about the upper
            half of its layers. 0: the head alone.
        epochs: At most so many passes over the training split; 0: the probe alone.
        batch_size: Images in a training step.
        learning_rate: The highest, after the warm-up and before the cosine decay.
        patience: Epochs without a lower validation loss before training stops.
        dropout: Share of the features that is dropped in training.
        weight_decay: AdamW's.
        head: "linear": one layer, which starts from the probe. "mlp": hidden layers, trained alone
            on the cached features before any stage of the backbone is.
        head_layers: Hidden layers of an mlp; by default 1.
        head_width: Units of each; by default half of the layer before, but no fewer than classes.
        activation: Of the hidden layers: "relu" (the default), "leaky_relu" (slope 0.2), "elu",
            "gelu", "silu", "tanh", "sigmoid" or "maxout" (the larger of two linear pieces).
        head_batchnorm: Whether each hidden layer normalizes its batches.
        initializer: Of an mlp's kernels: "glorot" (the default), "he", "lecun", "orthogonal"; and
            to be studied, "zeros", "small-gaussian" and "large-gaussian" (deviation 0.01 and 1).
        l1: Times the absolute values of the head's kernels, added to the training loss.
        l2: Times their squares, as well; by default 0, for an mlp 0.003.
        pooling: How the backbone's last feature map becomes features: "avg", "max", or "avg+max",
            both side by side.
        augment: "none", "light", "standard", "strong", "trivial" or "randaugment", each but none
            also with "-no-flip"; "auto": light, without flips for the sample digits; or a pipeline
            of albumentations, or the JSON or YAML file that `albumentations.save` wrote.
        mix: How the images of a batch are mixed in pairs after that, with their labels: "none",
            "mixup", "cutmix", or "mixup+cutmix", where each batch draws one of the two. Training
            then reads the images.
        class_weights: "none": every training image counts the same; "balanced": every class
            does, in the probe and in fine-tuning. Of all figures, only the training loss in
            `history.csv` is weighted.
        views: Augmented views of each training image whose activations below the trained stages
            are computed once and cached; by default one for each epoch, at most 8, as far as
            `cache_size` allows. 0: training reads the images.
        engine: What runs frozen networks: "keras", "openvino-float32", "openvino-mixed",
            "openvino-bfloat16", or "auto": the fastest on this machine that agrees with Keras.
        cache_size: The cache's limit, such as "20GB"; what was not used for longest goes first.
            0: no cache.
        max_pixels: Larger images are refused before they are decoded.
        seed: Of splits, initial weights, order, dropout and augmentation.
        resume: Go on with the unfinished run that had the same options, if there is one.
        quiet: Show no progress.

    Returns:
        The result: its `classifier` predicts, its `metrics` are those of `metrics.json`, and its
        `path` is the bundle's.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.finetune("./images", backbone="resnet50")
        >>> result.metrics["test"]["accuracy"]
        0.97
        >>> result.classifier.predict(["photo.jpg"])[0].label
        'cat'
    """
    source = as_source(data)
    clock, reporter = Clock(), Reporter(quiet)
    with clock("images"):
        listing = list_source(source, reporter.progress)
    entry = backbones.find(backbone)
    options = FinetuneOptions(
        data=source,
        backbone=entry.name,
        weights=os.fspath(weights),
        image_size=image_size,
        crop=crop,
        normalize=normalize,
        split=split if isinstance(split, str) else tuple(split),
        unfreeze=entry.unfreeze if unfreeze is None else unfreeze,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        dropout=dropout,
        weight_decay=weight_decay,
        head=head,
        head_layers=head_layers,
        head_width=head_width,
        activation=activation,
        head_batchnorm=head_batchnorm,
        initializer=initializer,
        l1=l1,
        l2=l2,
        pooling=pooling,
        augment=choose_policy(augment, listing.flips),
        mix=mix,
        class_weights=class_weights,
        views=views,
        engine=engine,
        cache_size=parse_size("--cache-size", cache_size),
        max_pixels=max_pixels,
        seed=seed,
    )
    check_crop(options.crop)
    check_pooling(options.pooling)
    check_normalization(options.normalize)
    check_engine(options.engine)
    check_unfreeze(options.unfreeze, [stage.name for stage in entry.stages])
    folder = Path(models_dir).expanduser() / model_name(name, source.location)
    with UnfinishedRun.start(folder, asdict(options), resume) as run:
        if resume and not run.resumed:
            reporter.say(f"Nothing to resume in {folder}: starting anew.")
        with clock("network"):
            keras.utils.set_random_seed(seed)
            network = backbones.load(
                entry.name,
                weights=options.weights,
                image_size=image_size,
                mirror=weights_mirror,
                pooling=pooling,
            )
            _, height, width, _ = network.model.input_shape
            preparation = Preparation(height, width, max_pixels, crop=crop)
            check_draws(options.augment, height, width)
        with clock("images"):
            table = scan(listing, max_pixels, reporter.progress)
            if source.group_near_duplicates:
                table = group_near_duplicates(table, reporter.progress, max_pixels)
            check_classes(table)
        statistics = None
        if normalize != BACKBONE:
            with clock("normalization"):
                # Split first: nothing may be learned from validation and test.
                table = fix_splits(table, options.split, seed)
                statistics = measure_pixels(table.split(TRAIN), preparation, reporter.progress)
                network = backbones.load(
                    entry.name,
                    weights=options.weights,
                    image_size=image_size,
                    mirror=weights_mirror,
                    standardize=partial(standardize, normalize, statistics),
                    pooling=pooling,
                )
        with clock("features"):
            frozen = FrozenNetwork(network.model, preparation, options, reporter)
            first_engine = frozen.engine(options.engine, table)
            features = compute_split_features(frozen, table, first_engine)
        with clock("probe"):
            probed = fit_on_features(frozen, features, first_engine)
            features, probe, probe_metrics = probed.features, probed.probe, probed.metrics
            reporter.say(f"Probe, {clock.total:.0f} s after the start: {summary(probe_metrics)}")
        with clock("fine-tuning"), naming_full_disk("the state of the training", folder):
            images_digest = data_digest(features.table)
            run.keep_data(images_digest)
            start = start_head(frozen, probed, run.folder / "head")
            model = start.model
            if options.head != LINEAR:
                reporter.say(f"Head, {clock.total:.0f} s after the start: {summary(start.metrics)}")
            stages = backbones.stage_layers(network.model, entry)
            trained_stages = freeze_below(model, stages, options.unfreeze)
            checkpoint = Checkpoint(run.folder, patience, start.metrics["loss"])
            training = make_training_data(
                model, frozen_layers(stages, trained_stages), features.table, frozen, probed.engine
            )
            _fine_tune(training, len(features.table.split(TRAIN)), checkpoint, options, reporter)
            choice = _choose(
                start, probe_metrics, checkpoint, features.table, preparation, reporter
            )
            if choice.chosen == PROBE and options.head != LINEAR:
                model = attach_head(network.model, probe.kernel, probe.bias)
            reporter.say(f"Kept: {choice.chosen}: {choice.why}")
        with clock("test"):
            test = features.split(TEST)
            if choice.chosen == PROBE:
                exact = frozen.exact(test, probed.engine, features.table, "Testing")
                probabilities = probe.predict(exact.values)
            else:
                probabilities = _predict(model, test.table, preparation, reporter, "Testing")
            test_metrics = measure(test.table.labels, probabilities, table.classes)
        with clock("saving"), naming_full_disk("the bundle", folder):
            trained = Trained(
                model=model,
                table=features.table,
                preparation=preparation,
                metrics={
                    "chosen": choice.chosen,
                    "why": choice.why,
                    "probe": probe_metrics,
                    **({} if options.head == LINEAR else {"head": start.metrics}),
                    "validation": choice.metrics,
                    "test": test_metrics,
                },
                history=checkpoint.history,
                test_probabilities=probabilities,
                run={
                    **run_record(
                        options,
                        features.table,
                        images_digest,
                        preparation,
                        network.weights_origin,
                    ),
                    "normalization": None if statistics is None else statistics.record(),
                    "trained_stages": trained_stages,
                    "best_epoch": checkpoint.best_epoch,
                    "probe_strength": probe.strength,
                    "features_computed": features.computed,
                    "engine": {
                        "features": probed.engine.name,
                        "difference": probed.engine.difference,
                        "views": training.engine,
                    },
                    "views": training.views,
                    "trained_on_images": training.why,
                    "timings": clock.parts,
                },
            )
            bundle = save_bundle(trained, run.folder / "bundle", folder, reporter.progress)
    if options.cache_size:
        make_room(options.cache_size)
    return FinetuneResult(bundle, clock.parts)


@dataclass(frozen=True)
class _Choice:
    """Which of probe, trained head and fine-tuned network is kept, and its validation figures."""

    chosen: str
    why: str
    metrics: dict[str, Any]


def _fine_tune(
    data: TrainingData,
    images: int,
    checkpoint: Checkpoint,
    options: FinetuneOptions,
    reporter: Reporter,
) -> None:
    """Trains the trainable layers and leaves them with the best weights."""
    steps = steps_per_epoch(images, options.batch_size)
    progress = TrainingProgress(steps, options.epochs)
    try:
        fine_tune(
            data.model,
            data.training,
            data.validation,
            one_hot=data.one_hot,
            steps_per_epoch=steps,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            checkpoint=checkpoint,
            callbacks=[] if reporter.quiet else [progress],
        )
    finally:
        progress.stop()


def _choose(
    start: HeadStart,
    probe_metrics: dict[str, Any],
    checkpoint: Checkpoint,
    table: ImageTable,
    preparation: Preparation,
    reporter: Reporter,
) -> _Choice:
    """Takes what is better on validation, and leaves the model with its weights."""
    measured = {PROBE: probe_metrics}
    if start.metrics is not probe_metrics:
        measured[TRAINED_HEAD] = start.metrics
    if checkpoint.best_epoch:
        validation = table.split(VALIDATION)
        probabilities = _predict(start.model, validation, preparation, reporter, "Validating")
        measured[FINETUNED] = measure(validation.labels, probabilities, validation.classes)
    # The cheaper is kept where it is as good: it comes first.
    chosen = max(measured, key=lambda name: (measured[name]["accuracy"], -measured[name]["loss"]))
    if chosen != FINETUNED and checkpoint.best_epoch:
        checkpoint.restore_start(start.model)
    return _Choice(chosen, _why(measured, checkpoint), measured[chosen])


def _why(measured: dict[str, dict[str, Any]], checkpoint: Checkpoint) -> str:
    """How those that were measured compare on validation."""
    if len(measured) == 1:
        why = "no epoch of fine-tuning lowered the validation loss"
        return why if checkpoint.history else "nothing was tuned"
    names = {FINETUNED: "fine-tuning", TRAINED_HEAD: "the head alone", PROBE: "the probe"}
    first, *others = ((name, measured[key]) for key, name in names.items() if key in measured)
    parts = [
        f"{first[0]} gives {first[1]['accuracy']:.2%} (loss {first[1]['loss']:.3f})",
        *(f"{name} {each['accuracy']:.2%} (loss {each['loss']:.3f})" for name, each in others),
    ]
    return f"on {measured[PROBE]['n']:,} validation images, {', '.join(parts)}"


def _predict(
    model: keras.Model, table: ImageTable, preparation: Preparation, reporter: Reporter, what: str
) -> np.ndarray:
    """Probabilities float32 [N, K] of a table's images."""
    batches: Iterable = labelled_batches(table, preparation, PREDICTION_BATCH).as_numpy_iterator()
    batches = reporter.progress(batches, steps_per_epoch(len(table), PREDICTION_BATCH), what)
    return np.concatenate([model.predict_on_batch(images) for images, _ in batches])
