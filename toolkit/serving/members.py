"""Saved classifiers as the members of an ensemble: which go together, and what they predict."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toolkit.data.prepare import Preparation
from toolkit.data.table import ImageTable, Problem
from toolkit.errors import BundleError, MemberError
from toolkit.progress import Reporter
from toolkit.serving.bundle import MEND
from toolkit.serving.engines import TENSORFLOW
from toolkit.serving.loaded import Classifier
from toolkit.serving.splits import SplitRow, read_splits


@dataclass(frozen=True)
class Member:
    """A classifier of an ensemble.

    Attributes:
        classifier: It, loaded.
        order: Where each of the ensemble's K classes is among the classifier's: int [K].
        name: NAME/VERSION, or where two have the same, the whole path.
    """

    classifier: Classifier
    order: np.ndarray
    name: str

    @cached_property
    def splits(self) -> list[SplitRow]:
        """The images that it was made with."""
        return read_splits(self.classifier.bundle)

    @property
    def root(self) -> str:
        """The folder that the paths of its images are relative to.

        Raises:
            BundleError: Its record does not tell.
        """
        try:
            return str(self.classifier.run["data"]["root"])
        except (KeyError, TypeError) as error:
            problem = f"{self.classifier.bundle.extra / 'run.json'} does not tell its data's root"
            raise BundleError(self.classifier.bundle.path, problem, MEND) from error

    @property
    def backbone(self) -> str | None:
        """The network that it was made from, if its record tells."""
        return self.classifier.run.get("options", {}).get("backbone")


def saved_model_size(folder: os.PathLike[str]) -> int:
    """Bytes of a SavedModel: its graph and its weights."""
    files = [Path(folder, "saved_model.pb"), *Path(folder).glob("variables/*")]
    return sum(file.stat().st_size for file in files)


def load_members(models: Sequence[str | os.PathLike[str]], fewest: int = 2) -> list[Member]:
    """Loads saved classifiers that are to be averaged.

    Classes are matched by name; their order is the first member's.

    Args:
        models: `models/NAME` (its newest version) or `models/NAME/VERSION`.
        fewest: How many there must be: 1 or 2.

    Raises:
        MemberError: There are fewer; one is given twice; they know different classes; or one was
            made by a version that prepared images otherwise.
        BundleError: One is missing or damaged.
    """
    given = [models] if isinstance(models, str | os.PathLike) else models
    if len(given) < max(fewest, 1):
        received = ", ".join(map(str, given)) or "none"
        raise MemberError("at least two different models", received, "Give another one")
    classifiers = [Classifier(model, TENSORFLOW) for model in given]
    paths = [classifier.bundle.path.resolve() for classifier in classifiers]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise MemberError("different models", f"{path} twice", "Give it once")
    names = [classifier.bundle.name for classifier in classifiers]
    first = classifiers[0]
    return [
        Member(
            classifier=_checked(classifier),
            order=_class_order(first, classifier),
            name=name if names.count(name) == 1 else str(classifier.bundle.path),
        )
        for name, classifier in zip(names, classifiers, strict=True)
    ]


def _checked(classifier: Classifier) -> Classifier:
    for preparation in classifier.preparations:
        if preparation.version != Preparation.version:
            received = f"{classifier.bundle.path}, which was made by another version"
            rule = "models that prepare images as this version of the toolkit does"
            raise MemberError(rule, received, "Make it again")
    return classifier


def _class_order(first: Classifier, other: Classifier) -> np.ndarray:
    known, others = first.classes, other.classes
    only = [
        [repr(name) for name in a if name not in b] for a, b in [(known, others), (others, known)]
    ]
    if any(only):
        parts = [
            f"{model.bundle.name} alone knows {', '.join(names[:8])}{', ...' if names[8:] else ''}"
            for model, names in zip([first, other], only, strict=True)
            if names
        ]
        raise MemberError("models of the same classes", "; ".join(parts), "Leave one of them out")
    return np.array([others.index(name) for name in known])


def shared_preparations(members: Sequence[Member]) -> list[tuple[Preparation, ...]]:
    """Each member's preparations, all with the smallest `max_pixels`: so equal ones are one."""
    limit = min(member.classifier.max_pixels for member in members)
    return [
        tuple(replace(each, max_pixels=limit) for each in member.classifier.preparations)
        for member in members
    ]


def predict_members(
    members: Sequence[Member],
    table: ImageTable,
    reporter: Reporter,
    asked: np.ndarray | None = None,
) -> tuple[ImageTable, np.ndarray]:
    """The members' own exported predictions.

    Args:
        members: M of them.
        table: The images.
        reporter: Shows how far it is.
        asked: Which members predict which of the table's images: bool [M, rows]; by default all.

    Returns:
        The table without the images that cannot be decoded, N rows, and probabilities [M, N, K]
        in the order of the first member's classes; not-a-number where a member was not asked.
    """
    if asked is None:
        asked = np.ones([len(members), len(table)], bool)
    shape = (len(members), len(table), len(members[0].order))
    probabilities = np.full(shape, np.nan, np.float32)
    problems: dict[str, str] = {}
    for number, (member, wanted) in enumerate(zip(members, asked, strict=True)):
        rows = np.flatnonzero(wanted)
        predictions = member.classifier.predict_each([table.file(int(row)) for row in rows])
        shown = reporter.progress(predictions, len(rows), member.name)
        for row, found in zip(rows, shown, strict=True):
            if isinstance(found, Problem):
                problems[table.paths[row]] = found.reason
            else:
                probabilities[number, row] = found.probabilities[member.order]
    kept = ~np.isin(table.paths, list(problems))
    table = table.without([Problem(*item) for item in problems.items()])
    return table, probabilities[:, kept]
