"""Several saved classifiers as one: `toolkit ensemble`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.clock import Clock
from toolkit.data.parts import read_image
from toolkit.data.source import Source, as_source
from toolkit.ensembles.average import ARITHMETIC
from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.calibration import reliability
from toolkit.ensembles.report import ENSEMBLE, headlines, report
from toolkit.ensembles.weighting import EQUAL, check_weighting, find_temperature, find_weights
from toolkit.evaluation import pictures
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.option_checks import check_whole, model_name
from toolkit.progress import Reporter
from toolkit.result import EnsembleResult
from toolkit.run_record import joined_record
from toolkit.serving.bundle import EXTRA
from toolkit.serving.common_predictions import Predicted, Prepared, predict_again, predict_common
from toolkit.serving.export import as_preparations
from toolkit.serving.joined import Part, join_models
from toolkit.serving.latency import measure_latency, serve_saved_model
from toolkit.serving.members import (
    Member,
    load_members,
    saved_model_size,
    shared_preparations,
)
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.tta import check_tta, with_views
from toolkit.serving.unfinished import UnfinishedRun


def ensemble(
    models: Sequence[str | os.PathLike[str]],
    name: str,
    *,
    average: str = ARITHMETIC,
    weights: str | Sequence[float] = EQUAL,
    calibrate: bool = False,
    tta: str | Sequence[str] = "",
    data: str | os.PathLike[str] | Source | None = None,
    models_dir: str | os.PathLike[str] = "models",
    seed: int = 0,
    quiet: bool = False,
) -> EnsembleResult:
    """Averages saved classifiers, and saves the result as a classifier like any other.

    Members may differ in backbone, image size and preparation; classes are matched by name. They
    are best made with one `data` and `seed`: then they have the same test images, which none has
    seen, and on which all are measured, once. Members without weight are measured, but are no part
    of the exported model.

    Args:
        models: At least two saved classifiers, or with `tta` one: `models/NAME` (its newest
            version) or `models/NAME/VERSION`.
        name: To save under.
        average: "arithmetic", "geometric" or "majority"; see `toolkit.average_probabilities`.
        weights: "equal"; a number for each member; or found on the images that all members have for
            validation: "convex" (the lowest log-loss) or "greedy" (selection with replacement,
            Caruana et al. 2004).
        calibrate: Scale the average's logarithms by one temperature, found on the images that all
            members have for validation (Guo et al. 2017), so that it is as sure as it is right. No
            image changes its class.
        tta: Test-time augmentation: each member becomes the average of what it says of several
            views of the image, inside the exported model: "flips" (also mirrored left to right),
            "crops" (the centre and the four corners of the image, each 0.875 of its sides) and
            "scales" (also magnified 1.15 times); of several of them, the product. It costs as many
            runs of each network. With it, one model is enough.
        data: Labelled images to test on; what a member has seen is left out. By default the
            images that all members have for test.
        models_dir: The model repository.
        seed: Of the bootstrap that gives the gain's interval.
        quiet: Show no progress.

    Returns:
        The result: its `metrics` are those of `metrics.json`: the ensemble, its members, what each
        adds, the gain over the best with its interval, and what is recommended.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.ensemble(["models/a", "models/b"], "both", weights="convex")
        >>> result.metrics["gain"]["loss_ci95"], result.metrics["recommended"]
        ([0.01, 0.05], 'ensemble')
    """
    clock, reporter = Clock(), Reporter(quiet)
    folder = Path(models_dir).expanduser() / model_name(name, name)
    check_whole("--seed", seed, 0)
    tta = check_tta(tta)
    with clock("members"):
        members = load_members(models, fewest=1 if tta else 2)
        weighting = check_weighting(weights, average, len(members))
        loaded = [member.classifier.model for member in members]  # Damage is found early.
    networks: list[Prepared] = list(zip(loaded, shared_preparations(members), strict=True))
    options = {
        "models": [str(member.classifier.bundle.path) for member in members],
        "average": average,
        "weights": weighting,
        "calibrate": calibrate,
        "tta": list(tta),
        "data": None if data is None else asdict(as_source(data)),
        "seed": seed,
    }
    with UnfinishedRun.start(folder, options, resume=False) as run:
        images, validation, test = predict_common(members, data, clock, reporter)
        plain = validation, test
        if tta:
            with clock("views"):
                networks = [with_views(*network, tta) for network in networks]
                validation, test = (
                    predict_again(networks, members, each, reporter.progress) for each in plain
                )
        labels = validation.table.labels
        shares = find_weights(weighting, average, labels, validation.members)
        temperature = 1.0
        if calibrate:
            temperature = find_temperature(labels, validation.members, average, shares)
        averaging = Averaging(average, shares, temperature)
        with clock("joining"):
            parts = _parts(members, networks, shares)
            model, preparations = join_models(parts, average, temperature)
        with clock("evidence"):
            metrics = _metrics(members, plain, (validation, test) if tta else None, averaging, seed)
        trained = Trained(
            model=model,
            table=images.record(test.table),
            preparation=preparations,
            metrics=metrics,
            history=[],
            test_probabilities=averaging(test.members),
            run={},
            complete=_finish(members, test, averaging),
        )
        trained.run.update(_record(trained, members, shares, options, clock))
        with clock("saving"), naming_full_disk("the bundle", folder):
            bundle = save_bundle(trained, run.folder / "bundle", folder, reporter.progress)
    return EnsembleResult(bundle, clock.parts)


def _parts(
    members: Sequence[Member], networks: Sequence[Prepared], shares: np.ndarray
) -> list[Part]:
    return [
        Part(*network, member.order, float(share))
        for network, member, share in zip(networks, members, shares, strict=True)
        if share > 0
    ]


def _metrics(
    members: Sequence[Member],
    plain: tuple[Predicted, Predicted],
    viewed: tuple[Predicted, Predicted] | None,
    averaging: Averaging,
    seed: int,
) -> dict[str, Any]:
    """The content of `metrics.json` but for latencies and sizes.

    Args:
        members: Of the ensemble.
        plain: What they say of validation and test.
        viewed: What they say of several views of these images, where they average such.
        averaging: How they are averaged.
        seed: Of the bootstrap.
    """
    validation, test = plain
    classes, names = test.table.classes, [member.name for member in members]
    labels, said = test.table.labels, viewed[1].members if viewed else None
    metrics = report(labels, test.members, classes, names, averaging, seed, said)
    labels, chosen_by = validation.table.labels, None
    if len(labels):
        chosen_by = measure(labels, averaging((viewed or plain)[0].members), classes)
        for record, probabilities in zip(metrics["members"], validation.members, strict=True):
            record["validation"] = headlines(labels, probabilities, classes)
    return {"chosen": ENSEMBLE, "validation": chosen_by, **metrics}


def _finish(
    members: Sequence[Member], test: Predicted, averaging: Averaging
) -> Callable[[dict[str, Any], Path], dict[str, Any]]:
    """What the exported model and its members cost, and a picture of how far it can be believed."""

    def finish(metrics: dict[str, Any], saved_model: Path) -> dict[str, Any]:
        labels, curves = test.table.labels, {}
        if averaging.temperature != 1:
            curves["before"] = reliability(labels, averaging.unscaled(test.members))
        curves["after" if curves else "together"] = reliability(labels, averaging(test.members))
        pictures.reliability(curves, saved_model / EXTRA / "reliability.png")
        return _with_costs(metrics, members, saved_model, read_image(test.table.file(0)))

    return finish


def _with_costs(
    metrics: dict[str, Any], members: Sequence[Member], saved_model: Path, image: bytes
) -> dict[str, Any]:
    """Adds bytes, and milliseconds for one image, of the exported model and each member."""
    records = [
        {
            **record,
            "bytes": saved_model_size(member.classifier.bundle.path),
            "latency_ms": measure_latency(member.classifier.predict_bytes, image),
        }
        for record, member in zip(metrics["members"], members, strict=True)
    ]
    own = {
        "bytes": saved_model_size(saved_model),
        "latency_ms": measure_latency(serve_saved_model(saved_model), image),
    }
    return {**metrics, "members": records, **own}


def _record(
    trained: Trained,
    members: Sequence[Member],
    shares: np.ndarray,
    options: dict[str, Any],
    clock: Clock,
) -> dict[str, Any]:
    """The content of `run.json`."""
    return {
        **joined_record(trained.table, members, shares, options),
        "preparations": [asdict(each) for each in as_preparations(trained.preparation)],
        "timings": clock.parts,
    }
