"""Labels that a backbone's features speak against, and images that are like no others."""

import numpy as np

from toolkit.checks.findings import DOUBTFUL, NOTE, Finding, count, suspect, suspects
from toolkit.data.groups import units
from toolkit.data.table import ImageTable
from toolkit.training.probe import fit_probe

FOLDS = 5
STRENGTH = 0.03
"""The probe's L2: a strong one, which does not follow single wrong labels."""

NEIGHBOURS = 10
MOST_COMPARED = 20_000
"""Images among which neighbours are sought: a random part of more."""

FAR = 0.2
"""Of the median of cleanlab's score, below which an image is like no others. (cleanlab itself takes
0.37, which names every 25th of some photos.)"""


def check_labels(table: ImageTable, features: np.ndarray, seed: int) -> list[Finding]:
    """Looks for wrong labels and outliers.

    A probe says of each image what it takes it for; it was fitted without that image, its copies
    and its group. What it thinks of the label ranks the images, and confident learning tells how
    many labels are wrong (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty
    in Dataset Labels", 2021, by cleanlab).

    Args:
        table: N images.
        features: Of a frozen backbone: float32 [N, D].
        seed: Of the folds.
    """
    return [*_wrong_labels(table, features, seed), *_outliers(table, features, seed)]


def predict_unseen(table: ImageTable, features: np.ndarray, seed: int) -> np.ndarray | None:
    """Probabilities float32 [N, K] by probes that were fitted on other images.

    Returns:
        None where a class has too few images, or groups of them, for that.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    together, labels = units(table), table.labels
    held = [len(set(together[labels == label])) for label in range(len(table.classes))]
    if len(held) < 2 or min(held) < 2:
        return None
    folds = min(FOLDS, *held)
    probabilities = np.zeros([len(table), len(table.classes)], np.float32)
    divide = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for rest, fold in divide.split(labels, labels, together):
        fitted_on = features[rest], labels[rest]
        probe = fit_probe(*fitted_on, *fitted_on, len(table.classes), strengths=[STRENGTH])
        probabilities[fold] = probe.predict(features[fold])
    return probabilities


def _wrong_labels(table: ImageTable, features: np.ndarray, seed: int) -> list[Finding]:
    from cleanlab.count import num_label_issues
    from cleanlab.rank import get_label_quality_scores

    probabilities = predict_unseen(table, features, seed)
    if probabilities is None:
        return []
    # Of ten wrong labels among 2,062 photos, this ranking has 7 to 10 among its first twenty;
    # that by margins, or of those alone that confident learning picks out, has one or two fewer.
    scores = get_label_quality_scores(table.labels, probabilities, method="self_confidence")
    rows = np.argsort(scores, kind="stable")[: num_label_issues(table.labels, probabilities)]
    whys = [_why(table, probabilities[row]) for row in rows]
    title = f"{count(len(rows))} whose label is doubtful"
    advice = "Look at the first of them: the most doubtful come first, not each one is wrong."
    found = suspects(table, rows, whys)
    return [Finding("label", DOUBTFUL, title, advice, found)] if found else []


def _why(table: ImageTable, probabilities: np.ndarray) -> str:
    best = int(probabilities.argmax())
    return f"looks like {table.classes[best]!r} ({probabilities[best]:.0%})"


def _outliers(table: ImageTable, features: np.ndarray, seed: int) -> list[Finding]:
    from cleanlab.outlier import OutOfDistribution

    if len(table) <= NEIGHBOURS:
        return []
    scores = _typicality(OutOfDistribution({"k": NEIGHBOURS}), features, seed)
    order = np.argsort(scores, kind="stable")
    rows = [row for row in order if scores[row] < FAR * np.median(scores)]
    found = [suspect(table, row, f"typicality {scores[row]:.2f}") for row in rows]
    title = f"{count(len(rows))} unlike all others"
    advice = "Look at them: what does not belong here is among them, and what is rare."
    return [Finding("outlier", NOTE, title, advice, found)] if found else []


def _typicality(detector: object, features: np.ndarray, seed: int) -> np.ndarray:
    """How near an image's neighbours are, 0 to 1."""
    if len(features) <= MOST_COMPARED:
        return detector.fit_score(features=np.asarray(features), verbose=False)  # type: ignore[attr-defined]
    rows = np.random.default_rng(seed).choice(len(features), MOST_COMPARED, replace=False)
    detector.fit(features=np.asarray(features[np.sort(rows)]), verbose=False)  # type: ignore[attr-defined]
    parts = [features[start : start + 4096] for start in range(0, len(features), 4096)]
    return np.concatenate([detector.score(features=np.asarray(part)) for part in parts])  # type: ignore[attr-defined]
