"""A bundle in use: predictions and evaluation by its SavedModel, as a server would give them."""

import functools
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.files import find_files
from toolkit.data.parts import read_image
from toolkit.data.scan import image_problem, pillows_doubts_unheard
from toolkit.data.table import Problem
from toolkit.errors import BundleError, UnreadableImageError
from toolkit.serving.bundle import MEND, Bundle, find_bundle
from toolkit.serving.engines import TENSORFLOW, check_engine, choose_engine
from toolkit.serving.prediction import Prediction

if TYPE_CHECKING:
    import keras

    from toolkit.data.prepare import Preparation
    from toolkit.data.source import Source
    from toolkit.serving.evaluate import Evaluation
    from toolkit.serving.network import FastNetwork

BATCH_SIZE = 32


class Classifier:
    """A saved classifier.

    Args:
        model: `models/NAME` (its newest version) or `models/NAME/VERSION`.
        engine: What runs the network: "tensorflow", "openvino-float32", "openvino-bfloat16", or
            "auto": OpenVINO in float32 where there are a thousand images or more and no GPU.

    Attributes:
        bundle: Where it lies.
        run: The content of `run.json`: all that made the model.
        metrics: The content of `metrics.json`.
        classes: Names of the K classes, in the order of the probabilities.
        max_pixels: Larger images are refused before they are decoded.
        reject_below: Where the highest probability is lower, a prediction is `rejected`. 0: never.
        tta_views: How many views of an image the network looks at, as one batch: 1 without `--tta`.

    Raises:
        BundleError: There is none, or it is damaged.

    Example:
        >>> classifier = toolkit.load("models/images")
        >>> [prediction] = classifier.predict(["photo.jpg"])
        >>> prediction.label, prediction.probability
        ('cat', 0.98)
    """

    def __init__(self, model: str | os.PathLike[str], engine: str = "auto") -> None:
        check_engine(engine)
        self.engine = engine
        self._networks: dict[str, FastNetwork] = {}
        self.bundle: Bundle = find_bundle(model)
        self.run: dict[str, Any] = self.bundle.read("run.json")
        self.metrics: dict[str, Any] = self.bundle.read("metrics.json")
        try:
            self.classes: list[str] = list(self.run["classes"])
            self.reject_below = float(self.run.get("reject_below", 0.0))
            self.tta_views = int(self.run.get("tta_views", 1))
            self.max_pixels = min(int(each["max_pixels"]) for each in self._preparations())
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{self.bundle.extra / 'run.json'} lacks what is needed ({error})"
            raise BundleError(self.bundle.path, problem, MEND) from error

    def _preparations(self) -> list[dict[str, Any]]:
        """As `run.json` has them: of an ensemble, one for each of its network's inputs."""
        return self.run.get("preparations") or [self.run["preparation"]]

    @functools.cached_property
    def preparations(self) -> "tuple[Preparation, ...]":
        """What is done to an image for each of the network's inputs: one, but of an ensemble."""
        from toolkit.data.prepare import Preparation

        return tuple(Preparation(**each) for each in self._preparations())

    @functools.cached_property
    def model(self) -> "keras.Model":
        """The Keras model: float32 [N, H, W, 3], values 0 to 255, to probabilities [N, K].

        Of an ensemble with several `preparations`, it takes a list with an input for each.
        """
        import keras

        file = self.bundle.extra / "model.keras"
        try:
            return keras.saving.load_model(file, compile=False)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise _unreadable(self.bundle, file, error) from error

    @functools.cached_property
    def _saved_model(self) -> Any:
        """The loaded SavedModel."""
        import tensorflow as tf

        files = f"{self.bundle.path / 'saved_model.pb'} or what lies in variables beside it"
        try:
            loaded = tf.saved_model.load(str(self.bundle.path))
            outputs = loaded.signatures["serving_default"].structured_outputs
            width = outputs["probabilities"].shape[-1]
        except (OSError, ValueError, LookupError, tf.errors.OpError) as error:
            raise _unreadable(self.bundle, files, error) from error
        if width != len(self.classes):
            problem = f"run.json names {len(self.classes)} classes, saved_model.pb gives {width}"
            raise BundleError(self.bundle.path, problem, MEND)
        return loaded

    def _choose_engine(self, images: int) -> Callable[[Sequence[bytes]], np.ndarray]:
        """What gives the probabilities of encoded images, given how many there are."""
        from toolkit.data.prepare import Preparation
        from toolkit.serving.network import FastNetwork

        engine = choose_engine(self.engine, images)
        # A bundle of another version of the toolkit may prepare images in another way.
        others = [each for each in self.preparations if each.version != Preparation.version]
        if engine == TENSORFLOW or others:
            return self.predict_bytes
        if engine not in self._networks:
            network = FastNetwork(engine, self.bundle, self._saved_model, self.preparations)
            self._networks[engine] = network
        return self._networks[engine]

    def predict_bytes(self, images: Sequence[bytes]) -> np.ndarray:
        """Probabilities float32 [N, K] of N encoded images.

        Raises:
            tensorflow.errors.InvalidArgumentError: One cannot be decoded; it names the place.
        """
        return ask(self._saved_model, images)

    def predict(self, paths: Iterable[str | os.PathLike[str]]) -> list[Prediction]:
        """Predicts image files, in their order.

        Args:
            paths: Of JPEG, PNG, BMP, WebP or GIF files.

        Raises:
            UnreadableImageError: A file is no readable image; `predict_each` goes on instead.
        """
        results = list(self.predict_each(paths))
        for result in results:
            if isinstance(result, Problem):
                raise UnreadableImageError(result.path, result.reason)
        return [result for result in results if isinstance(result, Prediction)]

    def evaluate(
        self,
        data: "str | os.PathLike[str] | Source",
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
        run = self._choose_engine(len(paths) if isinstance(paths, Sized) else 0)
        size = max(1, BATCH_SIZE // self.tta_views)  # Views need memory as images do.
        batch: list[tuple[str, bytes | Problem]] = []
        for path in paths:
            batch.append((os.fspath(path), self._read(path)))
            if len(batch) == size:
                yield from self._predict_batch(batch, run)
                batch = []
        yield from self._predict_batch(batch, run)

    def _read(self, path: str | os.PathLike[str]) -> bytes | Problem:
        try:
            data = read_image(path)
        except OSError as error:
            return Problem(os.fspath(path), error.strerror or str(error))
        with pillows_doubts_unheard():
            problem = image_problem(data, self.max_pixels)
        return Problem(os.fspath(path), problem) if problem else data

    def _predict_batch(
        self,
        batch: list[tuple[str, bytes | Problem]],
        run: Callable[[Sequence[bytes]], np.ndarray],
    ) -> Iterator[Prediction | Problem]:
        import tensorflow as tf

        data = [content for _, content in batch if isinstance(content, bytes)]
        try:
            rows = iter(run(data)) if data else iter(())
        except tf.errors.InvalidArgumentError:
            if len(batch) == 1:
                yield Problem(batch[0][0], "damaged: it cannot be decoded")
                return
            for item in batch:  # To find which it is.
                yield from self._predict_batch([item], run)
            return
        for path, content in batch:
            if isinstance(content, Problem):
                yield content
            else:
                yield Prediction(path, self.classes, next(rows), self.reject_below)


def ask(saved_model: Any, images: Sequence[bytes]) -> np.ndarray:
    """What a loaded SavedModel gives for N encoded images: probabilities float32 [N, K]."""
    import tensorflow as tf

    serve = saved_model.signatures["serving_default"]
    return serve(image_bytes=tf.constant(images, tf.string))["probabilities"].numpy()


def _unreadable(bundle: Bundle, file: Path | str, error: Exception) -> BundleError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return BundleError(bundle.path, f"{file} cannot be read ({reason})", MEND)


def predict(
    model: str | os.PathLike[str], paths: Iterable[str], *, engine: str = "auto"
) -> list[Prediction]:
    """Predicts files, folders and patterns with a saved classifier, as `toolkit predict` does.

    Args:
        model: `models/NAME` (its newest version) or `models/NAME/VERSION`.
        paths: Files, folders and patterns.
        engine: What runs the network; see `Classifier`.

    Raises:
        UnreadableImageError: A file is no readable image; `Classifier.predict_each` goes on.
    """
    return Classifier(model, engine).predict(find_files(paths))


def load(model: str | os.PathLike[str], engine: str = "auto") -> Classifier:
    """Loads a saved classifier: `models/NAME` (its newest version) or `models/NAME/VERSION`."""
    return Classifier(model, engine)
