"""A bundle's network on the fastest engine: for many images, faster than the SavedModel itself."""

import functools
import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from toolkit.cache import cached_folder
from toolkit.classifier import openvino
from toolkit.classifier.full_batches import Run, in_full_batches
from toolkit.data.prepare import Preparation
from toolkit.serving.batch_reader import make_batch_reader
from toolkit.serving.bundle import Bundle
from toolkit.serving.engines import BFLOAT16, LARGEST_DIFFERENCE

log = logging.getLogger("toolkit")


class FastNetwork:
    """A bundle's network on OpenVINO, compared with its SavedModel on the first images.

    Args:
        name: FLOAT32 or BFLOAT16.
        bundle: Where the SavedModel lies.
        served: It, loaded.
        preparations: How its images are prepared, for each of its inputs.
    """

    def __init__(
        self, name: str, bundle: Bundle, served: Any, preparations: Sequence[Preparation]
    ) -> None:
        shapes = [[each.height, each.width, 3] for each in preparations]
        precision = "bf16" if name == BFLOAT16 else "f32"
        run = openvino.compile_network(lambda: _convert(served), shapes, precision, _folder(bundle))
        self._name = name
        self._fast = in_full_batches(run, openvino.BATCH_SIZE)
        self._network = served.network
        self._trusted: Run | None = None
        self._read = _make_reader(tuple(preparations))

    def __call__(self, images: Sequence[bytes]) -> np.ndarray:
        """Probabilities float32 [N, K] of N encoded images.

        Raises:
            tensorflow.errors.InvalidArgumentError: One cannot be decoded; it names the place.
        """
        prepared = [each.numpy() for each in self._read(tf.constant(images, tf.string))]
        if self._trusted is None:
            self._trusted = self._choose(prepared)
        return self._trusted(*prepared)

    def _exact(self, *inputs: np.ndarray) -> np.ndarray:
        return self._network(*map(tf.constant, inputs)).numpy()

    def _choose(self, inputs: Sequence[np.ndarray]) -> Run:
        expected = self._exact(*inputs)
        distance = np.linalg.norm(self._fast(*inputs) - expected)
        difference = float(distance / np.linalg.norm(expected))
        if difference <= LARGEST_DIFFERENCE[self._name]:
            return self._fast
        message = "%s is not used: it differs from the SavedModel by %.2g, more than %g."
        log.warning(message, self._name, difference, LARGEST_DIFFERENCE[self._name])
        return self._exact


@functools.cache
def _make_reader(
    preparations: tuple[Preparation, ...],
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    encoded = tf.TensorSpec([None], tf.string)
    return tf.function(make_batch_reader(preparations), input_signature=[encoded])


def _folder(bundle: Bundle) -> Path:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted([bundle.path / "saved_model.pb", *bundle.path.glob("variables/*")]):
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    key = {
        "network": bundle.name,
        "saved_model": digest.hexdigest(),
        "openvino": openvino.version(),
    }
    return cached_folder("networks", key) / "converted"


def _convert(served: Any) -> Any:
    """Through a SavedModel of the network alone: OpenVINO does not read images' bytes."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(served, folder, {"serving_default": served.signatures["network"]})
        return openvino.convert_network(folder)
