"""A classifier of scikit-learn on what a frozen network's layer gives: `toolkit classify`."""

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

from toolkit import backbones
from toolkit.backbones import LoadedBackbone
from toolkit.backbones.pooling import AVG, check_pooling, network_up_to, with_pooling
from toolkit.cache import DEFAULT_SIZE, make_room, parse_size
from toolkit.classifier.engine import check_engine
from toolkit.classifier.features import Features
from toolkit.classifier.model import attach_head
from toolkit.clock import Clock
from toolkit.data.decode import MAX_PIXELS
from toolkit.data.perceptual_hash import group_near_duplicates
from toolkit.data.prepare import CENTER, Preparation, check_crop
from toolkit.data.scan import scan
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.splits import check_classes
from toolkit.data.table import TEST, TRAIN, VALIDATION
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.options import ClassifyOptions, model_name
from toolkit.probing import FrozenNetwork, Probed, compute_split_features, fit_checked
from toolkit.progress import Reporter
from toolkit.result import ClassifyResult
from toolkit.run_record import data_digest, run_record
from toolkit.serving.bundle import Bundle
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.classical import (
    NOT_EXPORTED,
    Classical,
    check_classifier,
    fit_classical,
)


def classify(
    data: str | os.PathLike[str] | Source | Mapping[str, Any],
    backbone: str = "efficientnet-lite0",
    *,
    classifier: str = "logistic",
    layer: str | None = None,
    pooling: str = AVG,
    name: str | None = None,
    models_dir: str | os.PathLike[str] = "models",
    weights: str | os.PathLike[str] = "imagenet",
    weights_mirror: str | None = None,
    image_size: int | None = None,
    crop: str = CENTER,
    split: Sequence[float] | str = "auto",
    engine: str = "auto",
    cache_size: str | int = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    quiet: bool = False,
) -> ClassifyResult:
    """Fits a classifier of scikit-learn on the features of any layer of a frozen network.

    Features are computed once and kept in the cache. The classifier's hyper-parameters are those
    of a small grid with the lowest loss on the validation split; it is measured on that, and once
    on the test split. The linear ones become the head of the network up to that layer, and are
    saved as `models_dir/name/VERSION/`, to be served like any other bundle.

    Args:
        data: Labelled images: a folder, a manifest, "tfds:NAME" or "sample:digits"; a
            `toolkit.Source` says more of them.
        backbone: The pretrained network; `toolkit backbones` lists them.
        classifier: "logistic" (regression), "linear-svm", "ridge"; or "knn" (the nearest
            neighbours) or "rbf-svm", which are measured, but cannot be served.
        layer: The stage (`toolkit backbones NAME` lists them), or any layer of the Keras network,
            whose output the features are; by default its last.
        pooling: How a feature map becomes features: "avg", "max", or "avg+max", both side by side.
        name: To save under; by default the data folder's name.
        models_dir: The model repository.
        weights: "imagenet", "random", or a file of weights.
        weights_mirror: Base URL of an own web server with the published weights' files.
        image_size: Height and width in pixels of the network's input; by default its own.
        crop: How an image gets the network's aspect ratio: "center", "squash" or "pad".
        split: Shares of train, validation and test, where the data has no such folders or column.
        engine: What runs the network; see `finetune`.
        cache_size: The cache's limit, such as "20GB". 0: no cache.
        max_pixels: Larger images are refused before they are decoded.
        seed: Of the splits, and of random weights.
        quiet: Show no progress.

    Returns:
        The result: its `metrics` are those of `metrics.json`; its `path` is the bundle's, and
        None where there is none, of which `why_not_saved` tells the reason.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.classify("./images", classifier="knn", layer="block5")
        >>> result.metrics["test"]["accuracy"], result.path
        (0.91, None)
    """
    source = as_source(data)
    check_classifier(classifier)
    check_pooling(pooling)
    check_crop(crop)
    check_engine(engine)
    clock, reporter = Clock(), Reporter(quiet)
    entry = backbones.find(backbone)
    options = ClassifyOptions(
        data=source,
        backbone=entry.name,
        classifier=classifier,
        layer=layer,
        pooling=pooling,
        weights=os.fspath(weights),
        image_size=image_size,
        crop=crop,
        split=split if isinstance(split, str) else tuple(split),
        engine=engine,
        cache_size=parse_size("--cache-size", cache_size),
        max_pixels=max_pixels,
        seed=seed,
    )
    folder = Path(models_dir).expanduser() / model_name(name, source.location)
    with _unfinished(folder, options) as run_folder:
        with clock("network"):
            keras.utils.set_random_seed(seed)
            loaded = backbones.load(
                entry.name, weights=options.weights, image_size=image_size, mirror=weights_mirror
            )
            network = _network(loaded, options)
            _, height, width, _ = network.input_shape
            preparation = Preparation(height, width, max_pixels, crop=crop)
        with clock("images"):
            table = scan(list_source(source, reporter.progress), max_pixels, reporter.progress)
            if source.group_near_duplicates:
                table = group_near_duplicates(table, reporter.progress, max_pixels)
            check_classes(table)
        with clock("features"):
            frozen = FrozenNetwork(network, preparation, options, reporter)
            first_engine = frozen.engine(options.engine, table)
            features = compute_split_features(frozen, table, first_engine)
        with clock("classifier"):
            fit = functools.partial(_fit, options=options, reporter=reporter)
            probed = fit_checked(frozen, features, first_engine, fit)
        with clock("test"):
            test = probed.features.split(TEST)
            exact = frozen.exact(test, probed.engine, probed.features.table, "Testing")
            probabilities = probed.probe.predict(exact.values)
            test_metrics = measure(test.table.labels, probabilities, table.classes)
        trained = Trained(
            model=network,
            table=probed.features.table,
            preparation=preparation,
            metrics=_metrics(probed, test_metrics, options),
            history=[],
            test_probabilities=probabilities,
            run=_record(loaded, probed, preparation, options, clock),
        )
        bundle = None
        if run_folder is not None:
            with clock("saving"), naming_full_disk("the bundle", folder):
                bundle = _save(trained, probed.probe, run_folder, folder, reporter)
    if options.cache_size:
        make_room(options.cache_size)
    why = NOT_EXPORTED.get(classifier, "")
    return ClassifyResult(trained.metrics, trained.run, bundle, why, clock.parts)


@contextlib.contextmanager
def _unfinished(folder: Path, options: ClassifyOptions) -> Iterator[Path | None]:
    """The folder in which a bundle is made, or None where none will be."""
    if options.classifier in NOT_EXPORTED:
        yield None
        return
    with UnfinishedRun.start(folder, asdict(options), resume=False) as run:
        yield run.folder


def _network(loaded: LoadedBackbone, options: ClassifyOptions) -> keras.Model:
    if options.layer is None:
        return with_pooling(loaded.model, options.pooling)
    return network_up_to(loaded.model, loaded.backbone, options.layer, options.pooling)


def _fit(features: Features, options: ClassifyOptions, reporter: Reporter) -> Classical:
    train, validation = features.split(TRAIN), features.split(VALIDATION)
    return fit_classical(
        options.classifier,
        train.values,
        train.table.labels,
        validation.values,
        validation.table.labels,
        seed=options.seed,
        progress=reporter.progress,
    )


def _metrics(
    probed: Probed[Classical], test: dict[str, Any], options: ClassifyOptions
) -> dict[str, Any]:
    """As `finetune` without epochs gives them: what is fitted on frozen features is a probe."""
    setting = ", ".join(f"{key} = {value:g}" for key, value in probed.probe.setting.items())
    where = "the features" if options.layer is None else f"the features of {options.layer}"
    return {
        "chosen": "probe",
        "why": f"{options.classifier} with {setting}, on {where}",
        "probe": probed.metrics,
        "validation": probed.metrics,
        "test": test,
    }


def _record(
    loaded: LoadedBackbone,
    probed: Probed[Classical],
    preparation: Preparation,
    options: ClassifyOptions,
    clock: Clock,
) -> dict[str, Any]:
    table, fitted = probed.features.table, probed.probe
    return {
        **run_record(options, table, data_digest(table), preparation, loaded.weights_origin),
        "classifier": {
            "setting": fitted.setting,
            "scale": fitted.scale,
            "tried": [{**setting, "loss": loss} for setting, loss in fitted.losses],
        },
        "features_computed": probed.features.computed,
        "engine": {"features": probed.engine.name, "difference": probed.engine.difference},
        "timings": clock.parts,
    }


def _save(
    trained: Trained, fitted: Classical, run_folder: Path, folder: Path, reporter: Reporter
) -> Bundle:
    whole = replace(trained, model=attach_head(trained.model, *fitted.layer()))
    return save_bundle(whole, run_folder / "bundle", folder, reporter.progress)
