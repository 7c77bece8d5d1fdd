"""Several saved classifiers as one: `toolkit ensemble`."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.clock import Clock
from toolkit.data.source import Source, as_source
from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.weighting import (
    AUTO,
    EQUAL,
    check_weighting,
    choose_average,
    find_temperature,
    find_weights,
)
from toolkit.files import naming_full_disk
from toolkit.member_evidence import Evidence
from toolkit.option_checks import check_reject_below, check_whole, model_name
from toolkit.progress import Reporter
from toolkit.result import EnsembleResult
from toolkit.run_record import joined_record
from toolkit.serving.common_predictions import Predicted, Prepared, predict_again, predict_common
from toolkit.serving.export import as_preparations
from toolkit.serving.joined import Part, join_models
from toolkit.serving.members import (
    Member,
    load_members,
    shared_preparations,
)
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.tta import check_tta, views_of, with_views
from toolkit.serving.unfinished import UnfinishedRun


def ensemble(
    models: Sequence[str | os.PathLike[str]],
    name: str,
    *,
    average: str = AUTO,
    weights: str | Sequence[float] = EQUAL,
    calibrate: bool = False,
    tta: str | Sequence[str] = "",
    reject_below: float = 0.0,
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
            "auto": geometric with `calibrate`, or else arithmetic.
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
        reject_below: Where the highest probability is lower, the saved model gives no label, and
            `rejected`. How many images are answered, and how many of these rightly, is measured.
            0: each is, whatever the members do.
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
    check_reject_below(reject_below)
    with clock("members"):
        members = load_members(models, fewest=1 if tta else 2)
        average = choose_average(average, calibrate)
        how = _How(average, check_weighting(weights, average, len(members)), calibrate)
        loaded = [member.classifier.model for member in members]  # Damage is found early.
    networks: list[Prepared] = list(zip(loaded, shared_preparations(members), strict=True))
    options = {
        "models": [str(member.classifier.bundle.path) for member in members],
        **asdict(how),
        "tta": list(tta),
        "reject_below": reject_below,
        "data": None if data is None else asdict(as_source(data)),
        "seed": seed,
    }
    with UnfinishedRun.start(folder, options, resume=False) as run:
        images, held_out, test = predict_common(members, data, clock, reporter)
        own, viewed = (held_out.common, test), None
        if tta:
            with clock("views"):
                networks = [with_views(*network, tta) for network in networks]
                again = partial(predict_again, networks, members, progress=reporter.progress)
                viewed = again(own[0]), again(own[1])
        averaging = how.averaging((viewed or own)[0])
        with clock("joining"):
            parts = _parts(members, networks, averaging.weights)
            model, preparations = join_models(parts, average, averaging.temperature)
        with clock("evidence"):
            evidence = Evidence(members, averaging, own, viewed, held_out)
            metrics = evidence.metrics(seed, reject_below)
        trained = Trained(
            model=model,
            table=images.record(test.table),
            preparation=preparations,
            metrics=metrics,
            history=[],
            test_probabilities=evidence.test_probabilities,
            run={},
            reject_below=reject_below,
            complete=evidence.complete,
        )
        trained.run.update(_record(trained, members, averaging.weights, options, clock))
        with clock("saving"), naming_full_disk("the bundle", folder):
            bundle = save_bundle(trained, run.folder / "bundle", folder, reporter.progress)
    return EnsembleResult(bundle, clock.parts)


@dataclass(frozen=True)
class _How:
    """How members are averaged, as it was asked for."""

    average: str
    weights: str | list[float]
    calibrate: bool

    def averaging(self, validation: Predicted) -> Averaging:
        """The averaging, whatever of it is to be found being found on validation images."""
        labels, members = validation.table.labels, validation.members
        shares = find_weights(self.weights, self.average, labels, members)
        if not self.calibrate:
            return Averaging(self.average, shares)
        temperature = find_temperature(labels, members, self.average, shares)
        return Averaging(self.average, shares, temperature)


def _parts(
    members: Sequence[Member], networks: Sequence[Prepared], shares: np.ndarray
) -> list[Part]:
    return [
        Part(*network, member.order, float(share))
        for network, member, share in zip(networks, members, shares, strict=True)
        if share > 0
    ]


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
        "tta_views": len(views_of(options["tta"])) * max(m.classifier.tta_views for m in members),
        "timings": clock.parts,
    }
