"""A bundle in use: predictions and evaluation by its SavedModel, as a server would give them."""

import functools
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from toolkit.data.files import find_files
from toolkit.data.scan import image_problem
from toolkit.data.table import Problem
from toolkit.errors import BundleError
from toolkit.serving.bundle import Bundle, find_bundle

if TYPE_CHECKING:
    import keras

    from toolkit.serving.evaluate import Evaluation

BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        path: The image's file.
        classes: Names of the K classes.
        probabilities: float32 [K], summing to 1.
    """

    path: str
    classes: Sequence[str]
    probabilities: np.ndarray

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """Of the most probable class, 0 to 1."""
        return float(self.probabilities.max())

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes with their probabilities, best first."""
        best = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.classes[i], float(self.probabilities[i])) for i in best]


class Classifier:
    """A saved classifier.

    Args:
        model: `models/NAME` (its newest version) or `models/NAME/VERSION`.

    Attributes:
        bundle: Where it lies.

    Raises:
        BundleError: There is none, or it is damaged.

    Example:
        >>> classifier = toolkit.load("models/images")
        >>> [prediction] = classifier.predict(["photo.jpg"])
        >>> prediction.label, prediction.probability
        ('cat', 0.98)
    """

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.bundle: Bundle = find_bundle(model)

    @functools.cached_property
    def run(self) -> dict[str, Any]:
        """The content of `run.json`: all that made the model."""
        return self.bundle.read("run.json")

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return self.bundle.read("metrics.json")

    @functools.cached_property
    def classes(self) -> list[str]:
        """Names of the K classes, in the order of the probabilities."""
        return self.run["classes"]

    @functools.cached_property
    def model(self) -> "keras.Model":
        """The Keras model: float32 [N, H, W, 3], values 0 to 255, to probabilities [N, K]."""
        import keras

        return keras.saving.load_model(self.bundle.extra / "model.keras", compile=False)

    @functools.cached_property
    def _saved_model(self) -> Any:
        import tensorflow as tf

        try:
            return tf.saved_model.load(str(self.bundle.path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise BundleError(
                self.bundle.path, f"its SavedModel cannot be read ({reason})", "Take another one."
            ) from error

    def predict_bytes(self, images: Sequence[bytes]) -> np.ndarray:
        """Probabilities float32 [N, K] of N encoded images.

        Raises:
            tensorflow.errors.InvalidArgumentError: One cannot be decoded; it names the place.
        """
        import tensorflow as tf

        serve = self._saved_model.signatures["serving_default"]
        return serve(image_bytes=tf.constant(images, tf.string))["probabilities"].numpy()

    def predict(self, paths: Iterable[str | os.PathLike[str]]) -> list[Prediction]:
        """Predicts image files, in their order.

        Args:
            paths: Of JPEG, PNG, BMP, WebP or GIF files.

        Raises:
            ValueError: A file is no readable image; `predict_each` goes on instead.
        """
        results = list(self.predict_each(paths))
        for result in results:
            if isinstance(result, Problem):
                raise ValueError(f"{result.path} is no readable image: {result.reason}")
        return [result for result in results if isinstance(result, Prediction)]

    def evaluate(
        self,
        data: str | os.PathLike[str],
        *,
        output: str | os.PathLike[str] | None = None,
        include_seen: bool = False,
        quiet: bool = False,
    ) -> "Evaluation":
        """Measures the classifier on labelled images; see `toolkit.evaluate`."""
        from toolkit.serving.evaluate import evaluate

        return evaluate(self, data, output=output, include_seen=include_seen, quiet=quiet)

    def predict_each(
        self, paths: Iterable[str | os.PathLike[str]]
    ) -> Iterator[Prediction | Problem]:
        """Predicts files one after another, and names those that are no readable images."""
        batch: list[tuple[str, bytes | Problem]] = []
        for path in paths:
            batch.append((os.fspath(path), self._read(path)))
            if len(batch) == BATCH_SIZE:
                yield from self._predict_batch(batch)
                batch = []
        yield from self._predict_batch(batch)

    def _read(self, path: str | os.PathLike[str]) -> bytes | Problem:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            return Problem(os.fspath(path), error.strerror or str(error))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            problem = image_problem(data, self.run["preparation"]["max_pixels"])
        return Problem(os.fspath(path), problem) if problem else data

    def _predict_batch(
        self, batch: list[tuple[str, bytes | Problem]]
    ) -> Iterator[Prediction | Problem]:
        import tensorflow as tf

        data = [content for _, content in batch if isinstance(content, bytes)]
        try:
            rows = iter(self.predict_bytes(data)) if data else iter(())
        except tf.errors.InvalidArgumentError:
            if len(batch) == 1:
                yield Problem(batch[0][0], "damaged: it cannot be decoded")
                return
            for item in batch:  # To find which it is.
                yield from self._predict_batch([item])
            return
        for path, content in batch:
            if isinstance(content, Problem):
                yield content
            else:
                yield Prediction(path, self.classes, next(rows))


def predict(model: str | os.PathLike[str], paths: Iterable[str]) -> list[Prediction]:
    """Predicts files, folders and patterns with a saved classifier, as `toolkit predict` does.

    Raises:
        ValueError: A file is no readable image; `Classifier.predict_each` goes on instead.
    """
    return Classifier(model).predict(find_files(paths))


def load(model: str | os.PathLike[str]) -> Classifier:
    """Loads a saved classifier: `models/NAME` (its newest version) or `models/NAME/VERSION`."""
    return Classifier(model)
