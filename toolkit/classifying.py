"""A classifier of scikit-learn on what a frozen network's layer gives: `toolkit classify`."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import backbones
from toolkit.asking import feature_values
from toolkit.backbones.pooling import AVG
from toolkit.backbones.standardize import BACKBONE
from toolkit.cache import DEFAULT_SIZE, make_room
from toolkit.calibrating import Calibration, calibrate_probe, check_calibration
from toolkit.choosing import PROBE, predict_probe
from toolkit.classifier.engine import Engine
from toolkit.classifier.features import Features
from toolkit.classifier.model import attach_head
from toolkit.clock import Clock
from toolkit.data.prepare import CENTER
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.table import MAX_PIXELS, TEST, TRAIN, VALIDATION
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.option_checks import model_name
from toolkit.options import ClassifyOptions
from toolkit.preparing import Prepared, prepare, read_images
from toolkit.probing import FrozenNetwork, Probed, fit_checked
from toolkit.progress import Reporter
from toolkit.result import ClassifyResult
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.training.classical import (
    NOT_EXPORTED,
    Classical,
    check_classifier,
    fit_classical,
)

Classified = Prepared[ClassifyOptions, Classical]


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
    normalize: str = BACKBONE,
    split: Sequence[float] | str = "auto",
    calibrate: bool = False,
    reject_below: float = 0.0,
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
        normalize: By which statistics pixels are normalized; see `finetune`.
        split: Shares of train, validation and test, where the data has no such folders or column.
        calibrate: Divide its logits by one temperature, found on the validation split (Guo et al.
            2017), so that it is as sure as it is right. No image changes its class.
        reject_below: Where the highest probability is lower, the saved model gives no label, and
            `rejected`. How many images are answered, and how many of these rightly, is measured.
            0: each is.
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
    given = dict(locals())
    source, clock, reporter = as_source(data), Clock(), Reporter(quiet)
    backbones.find(backbone)
    check_classifier(classifier)
    options = ClassifyOptions(**feature_values(given, source), classifier=classifier, layer=layer)
    folder = Path(models_dir).expanduser() / model_name(name, source.location)
    with _unfinished(folder, options) as run_folder:
        with clock("images"):
            listing = list_source(source, reporter.progress)
        read = partial(read_images, options, listing, reporter)
        prepared = prepare(options, read, weights_mirror, clock, reporter, _fit, layer)
        table, temperature = prepared.table, 1.0
        check_calibration(options, table)
        if options.calibrate:
            prepared, temperature = calibrate_probe(prepared)
        with clock("test"):
            probabilities = predict_probe(prepared, TEST, "Testing")
            test_metrics = measure(
                table.split(TEST).labels, probabilities, table.classes, options.reject_below
            )
        validation = predict_probe(prepared, VALIDATION, "Calibrating")
        calibration = Calibration(table, temperature, validation, probabilities)
        metrics = {**_metrics(prepared, test_metrics), **calibration.record()}
        run = _record(prepared, clock)
        bundle = None
        if run_folder is not None:
            with clock("saving"), naming_full_disk("the bundle", folder):
                model = attach_head(prepared.network.model, *prepared.probed.probe.layer())
                trained = Trained(
                    model=model,
                    table=table,
                    preparation=prepared.preparation,
                    metrics=metrics,
                    history=[],
                    test_probabilities=probabilities,
                    run=run,
                    reject_below=options.reject_below,
                    complete=calibration.draw,
                )
                bundle = save_bundle(trained, run_folder / "bundle", folder, reporter.progress)
    if options.cache_size:
        make_room(options.cache_size)
    return ClassifyResult(metrics, run, bundle, NOT_EXPORTED.get(classifier, ""), clock.parts)


@contextlib.contextmanager
def _unfinished(folder: Path, options: ClassifyOptions) -> Iterator[Path | None]:
    """The folder in which a bundle is made, or None where none will be."""
    if options.classifier in NOT_EXPORTED:
        yield None
        return
    with UnfinishedRun.start(folder, asdict(options), resume=False) as run:
        yield run.folder


def _fit(
    frozen: FrozenNetwork[ClassifyOptions], features: Features, engine: Engine
) -> Probed[Classical]:
    def fit(features: Features) -> Classical:
        train, validation = features.split(TRAIN), features.split(VALIDATION)
        return fit_classical(
            frozen.options.classifier,
            train.values,
            train.table.labels,
            validation.values,
            validation.table.labels,
            seed=frozen.options.seed,
            progress=frozen.reporter.progress,
        )

    return fit_checked(frozen, features, engine, fit)


def _metrics(prepared: Classified, test: dict[str, Any]) -> dict[str, Any]:
    """As `finetune` without epochs gives them: what is fitted on frozen features is a probe."""
    probed, options = prepared.probed, prepared.options
    setting = ", ".join(f"{key} = {value:g}" for key, value in probed.probe.setting.items())
    where = "the features" if options.layer is None else f"the features of {options.layer}"
    return {
        "chosen": PROBE,
        "why": f"{options.classifier} with {setting}, on {where}",
        "probe": probed.metrics,
        "validation": probed.metrics,
        "test": test,
    }


def _record(prepared: Classified, clock: Clock) -> dict[str, Any]:
    fitted = prepared.probed.probe
    return {
        **prepared.record(),
        "classifier": {
            "setting": fitted.setting,
            "scale": fitted.scale,
            "tried": [{**setting, "loss": loss} for setting, loss in fitted.losses],
        },
        "timings": clock.parts,
    }
