"""Whether the SavedModel gives what the trained model gave, in a process without Keras."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.data.parts import read_image
from toolkit.errors import ParityError

LIMIT = 1e-4
"""Largest difference of a probability."""


def check_parity(saved_model: Path, files: Sequence[Path], expected: np.ndarray) -> float:
    """Gives files' bytes to a SavedModel in a fresh process and compares.

    Args:
        saved_model: Folder of the SavedModel.
        files: N encoded images.
        expected: The trained model's probabilities, float32 [N, K].

    Returns:
        The largest difference of a probability.

    Raises:
        ParityError: It is above `LIMIT`.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder, "files.json"), Path(folder, "probabilities.npy")
        request.write_text(json.dumps([os.fspath(file) for file in files]))
        command = [sys.executable, "-m", __name__, str(saved_model), str(request), str(answer)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"The exported model cannot be loaded or run:\n{done.stderr}")
        difference = float(np.abs(np.load(answer) - expected).max())
    if not difference <= LIMIT:  # So that NaN fails, too.
        raise ParityError(difference, LIMIT)
    return difference


def serve(saved_model: Path, files: Sequence[str | Path]) -> np.ndarray:
    """What a SavedModel gives for files' bytes: probabilities, float32 [N, K]."""
    import tensorflow as tf

    give = tf.saved_model.load(os.fspath(saved_model)).signatures["serving_default"]
    data = [read_image(file) for file in files]
    batches = [data[start : start + 16] for start in range(0, len(data), 16)]
    results = [give(image_bytes=tf.constant(batch))["probabilities"] for batch in batches]
    return np.concatenate([result.numpy() for result in results])


def _answer(saved_model: str, request: str, answer: str) -> None:
    # Importing Keras is now an error: a server has none. (TensorFlow imports it where it can.)
    sys.modules["keras"] = None  # type: ignore[assignment]
    np.save(answer, serve(Path(saved_model), json.loads(Path(request).read_text())))


if __name__ == "__main__":
    _answer(*sys.argv[1:])
