"""Several saved classifiers' weights averaged: `toolkit soup`."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.choosing import predict
from toolkit.classifier.soup import average_weights, weights_for_classes
from toolkit.clock import Clock
from toolkit.data.prepare import Preparation
from toolkit.data.source import Source, as_source
from toolkit.data.table import ImageTable
from toolkit.ensembles.report import headlines
from toolkit.ensembles.soup import (
    GREEDY,
    SOUP,
    UNIFORM,
    Tried,
    best_first,
    check_recipe,
    greedy_soup,
    soup_report,
)
from toolkit.ensembles.weighting import IMAGES_FOR_EACH
from toolkit.errors import MemberError, TooFewToFitError
from toolkit.evaluation.metrics import measure
from toolkit.files import naming_full_disk
from toolkit.option_checks import check_reject_below, check_whole, model_name
from toolkit.progress import Reporter
from toolkit.result import SoupResult
from toolkit.run_record import joined_record
from toolkit.serving.alike import check_alike
from toolkit.serving.common_predictions import Predicted, predict_common
from toolkit.serving.members import Member, load_members
from toolkit.serving.save import Trained, save_bundle
from toolkit.serving.unfinished import UnfinishedRun


def soup(
    models: Sequence[str | os.PathLike[str]],
    name: str,
    *,
    recipe: str = GREEDY,
    reject_below: float = 0.0,
    data: str | os.PathLike[str] | Source | None = None,
    models_dir: str | os.PathLike[str] = "models",
    seed: int = 0,
    quiet: bool = False,
) -> SoupResult:
    """Averages the weights of saved classifiers, and saves the result as a classifier like any.

    Members have one architecture, and are best made from the same pretrained weights, with one
    `data` and `seed` and other hyper-parameters: then their weights lie close enough together to
    be averaged (Wortsman et al. 2022, "Model soups"), and there are images that none has seen, on
    which all are measured, once. A soup is as large and as fast as one member.

    Moving means and variances of BatchNorm are averaged as well. BatchNorm is frozen by default, so
    all members have the same.

    Args:
        models: At least two saved classifiers: `models/NAME` (its newest version) or
            `models/NAME/VERSION`.
        name: To save under.
        recipe: "greedy": the members in the order of their accuracy on the images that all have for
            validation, each added where the soup's accuracy on these does not fall; or "uniform":
            all of them.
        reject_below: Where the highest probability is lower, the saved model gives no label, and
            `rejected`. How many images are answered, and how many of these rightly, is measured.
            0: each is, whatever the members do.
        data: Labelled images to test on; what a member has seen is left out. By default the
            images that all members have for test.
        models_dir: The model repository.
        seed: Of the bootstrap that gives the gain's interval.
        quiet: Show no progress.

    Returns:
        The result: its `metrics` are those of `metrics.json`: the soup, its members and their
        weights in it, the gain over the best with its interval, and what is recommended.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.soup(["models/a", "models/b", "models/c"], "soup")
        >>> [member["weight"] for member in result.metrics["members"]]
        [0.5, 0.0, 0.5]
    """
    clock, reporter = Clock(), Reporter(quiet)
    folder = Path(models_dir).expanduser() / model_name(name, name)
    check_recipe(recipe)
    check_reject_below(reject_below)
    check_whole("--seed", seed, 0)
    with clock("members"):
        members = load_members(models)
        soups = _Soups(members, check_alike(members), reporter)
    options = {
        "models": [str(member.classifier.bundle.path) for member in members],
        "recipe": recipe,
        "reject_below": reject_below,
        "data": None if data is None else asdict(as_source(data)),
        "seed": seed,
    }
    with UnfinishedRun.start(folder, options, resume=False) as run:
        images, held_out, test = predict_common(members, data, clock, reporter)
        validation = held_out.common
        figures = _figures(validation)
        with clock("soup"):
            tried = _choose(recipe, soups, validation, figures)
            taken = [each.member for each in tried if each.taken]
            validated = soups.measure(taken, validation.table) if figures else None
        with clock("test"):
            probabilities = soups.predict(taken, test.table, "Testing")
            report = _report(members, test, probabilities, figures, tried, seed, reject_below)
        shares = np.array([member["weight"] for member in report["members"]])
        table = images.record(test.table)
        trained = Trained(
            model=soups.model,
            table=table,
            preparation=(soups.preparation,),
            metrics={"chosen": SOUP, "validation": validated, **report},
            history=[],
            test_probabilities=probabilities,
            reject_below=reject_below,
            run={
                **joined_record(table, members, shares, options),
                "preparation": asdict(soups.preparation),
                "timings": clock.parts,
            },
        )
        with clock("saving"), naming_full_disk("the bundle", folder):
            bundle = save_bundle(trained, run.folder / "bundle", folder, reporter.progress)
    return SoupResult(bundle, clock.parts)


class _Soups:
    """Makes soups of members, each in the place of the one before.

    Args:
        members: That are alike.
        preparation: What is done to images for them.
        reporter: Shows how far it is.

    Attributes:
        model: It has the weights of the last soup that was made.
    """

    def __init__(
        self, members: Sequence[Member], preparation: Preparation, reporter: Reporter
    ) -> None:
        self.model: keras.Model = members[0].classifier.model
        self.preparation = preparation
        self._weights = [_weights(member) for member in members]
        self._reporter = reporter

    def predict(self, taken: Sequence[int], table: ImageTable, what: str) -> np.ndarray:
        """What the soup of some members says of N images: probabilities, float32 [N, K]."""
        self.model.set_weights(average_weights([self._weights[place] for place in taken]))
        return predict(self.model, table, self.preparation, self._reporter, what)

    def measure(self, taken: Sequence[int], table: ImageTable) -> dict[str, Any]:
        """Its figures on images, as `measure` gives them."""
        probabilities = self.predict(taken, table, f"A soup of {len(taken)}")
        return measure(table.labels, probabilities, table.classes)


def _weights(member: Member) -> list[np.ndarray]:
    """A member's weights, with the first member's order of classes."""
    weights = weights_for_classes(member.classifier.model, member.order)
    if weights is None:
        rule = "models whose classes have one order, or whose last layer is Dense"
        raise MemberError(rule, f"{member.name}, whose have another", "Leave it out")
    return weights


def _figures(validation: Predicted) -> list[dict[str, Any]]:
    """Of each member, on the images that all have for validation; empty, if there are none."""
    table = validation.table
    if not len(table):
        return []
    return [headlines(table.labels, member, table.classes) for member in validation.members]


def _choose(
    recipe: str, soups: _Soups, validation: Predicted, figures: list[dict[str, Any]]
) -> list[Tried]:
    """Which members are in the soup."""
    count, images = len(validation.members), len(validation.table)
    if recipe == UNIFORM:
        return [Tried(place, None, taken=True) for place in range(count)]
    if images < IMAGES_FOR_EACH * count:
        instead = "give --recipe uniform"
        raise TooFewToFitError("--recipe greedy", IMAGES_FOR_EACH * count, images, instead)
    order = best_first(figures)
    return greedy_soup(
        order,
        figures[order[0]]["accuracy"],
        lambda taken: soups.measure(taken, validation.table)["accuracy"],
    )


def _report(
    members: Sequence[Member],
    test: Predicted,
    probabilities: np.ndarray,
    figures: list[dict[str, Any]],
    tried: Sequence[Tried],
    seed: int,
    reject_below: float,
) -> dict[str, Any]:
    """The content of `metrics.json` but for the soup's validation."""
    table = test.table
    tested = [headlines(table.labels, member, table.classes) for member in test.members]
    names, best = [member.name for member in members], best_first(figures or tested)[0]
    report = soup_report(
        table.labels, probabilities, test.members, table.classes, names, best, seed, reject_below
    )
    by_member, share = {each.member: each for each in tried}, 1 / sum(each.taken for each in tried)
    for place, record in enumerate(report["members"]):
        record["weight"] = share if by_member[place].taken else 0.0
        record["validation"] = figures[place] if figures else None
        record["soup_accuracy"] = by_member[place].accuracy
    return report
