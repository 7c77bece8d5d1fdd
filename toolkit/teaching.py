"""A teacher's part in a training: what a saved classifier says of the training images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toolkit.data.table import TEST, TRAIN, ImageTable, Problem
from toolkit.errors import OptionError, UnreadableImageError
from toolkit.files import appearing
from toolkit.progress import Reporter
from toolkit.serving.loaded import Classifier
from toolkit.serving.splits import read_splits

FILE = "teacher.npy"


def teach(teacher: str, table: ImageTable, folder: Path, reporter: Reporter) -> np.ndarray:
    """What a saved classifier says of the training images as they are, not augmented.

    Args:
        teacher: Its bundle.
        table: All images, with their splits.
        folder: Where it is kept, so that a resumed run need not ask again.
        reporter: Shows how far it is.

    Returns:
        Probabilities float32 [N, K] of the training split's rows, in the table's order of classes.
        They lie on disk, and are read where they are needed.

    Raises:
        OptionError: The teacher knows other classes, or was trained on images that are test here:
            what it knows of them would pass into the result.
        UnreadableImageError: It refuses an image.
    """
    path, train = folder / FILE, table.split(TRAIN)
    if not path.exists():
        classifier = Classifier(teacher)
        order = _class_order(classifier, table)
        _check_unseen(classifier, table)
        with appearing(path) as temporary:
            shape = (len(train), len(order))
            rows = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            for row, probabilities in enumerate(_predictions(classifier, train, reporter)):
                rows[row] = probabilities[order]
            rows.flush()
    return np.load(path, mmap_mode="r")


def _class_order(classifier: Classifier, table: ImageTable) -> np.ndarray:
    """Where each of the table's classes is among the teacher's: int [K]."""
    differing = sorted(set(classifier.classes) ^ set(table.classes))
    if differing:
        names = ", ".join(map(repr, differing[:8]))
        rule = f"a classifier of the same classes; only one of the two knows {names}"
        raise OptionError("--teacher", rule, classifier.bundle.path)
    return np.array([classifier.classes.index(name) for name in table.classes])


def _check_unseen(classifier: Classifier, table: ImageTable) -> None:
    """Refuses a teacher that was made with the images on which its pupil is tested."""
    seen = {row.digest for row in read_splits(classifier.bundle) if row.split != TEST}
    count = len(seen.intersection(table.split(TEST).digests))
    if count:
        rule = (
            f"a classifier that has not seen the test images, and it has seen {count:,} of them; "
            "give the --data, --split and --seed that it was made with"
        )
        raise OptionError("--teacher", rule, classifier.bundle.path)


def _predictions(
    classifier: Classifier, train: ImageTable, reporter: Reporter
) -> Iterator[np.ndarray]:
    files = [train.file(row) for row in range(len(train))]
    for prediction in reporter.progress(classifier.predict_each(files), len(files), "Teacher"):
        if isinstance(prediction, Problem):
            raise UnreadableImageError(prediction.path, prediction.reason)
        yield prediction.probabilities
