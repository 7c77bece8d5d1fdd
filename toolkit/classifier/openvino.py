"""Networks on OpenVINO, which runs them on a CPU several times faster than Keras does.

See https://docs.openvino.ai, "Convert a TensorFlow Model" and "CPU Device".
"""

import functools
import hashlib
import importlib.util
import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.classifier.full_batches import Run
from toolkit.files import appearing_folder

log = logging.getLogger("toolkit")

NETWORK, WEIGHTS, DIGEST = "network.xml", "network.bin", "sha256.txt"

BATCH_SIZE = 8
"""Larger ones are no faster on a CPU, and those of some networks slower: they leave its caches."""


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


@functools.cache
def has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 itself."""
    return "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def version() -> str:
    """OpenVINO's version, part of the key of what it computes."""
    return _openvino().__version__


def compile_network(
    convert: Callable[[], Any],
    shapes: Sequence[Sequence[int]],
    precision: str,
    folder: Path | None,
) -> Run:
    """Compiles a network for this machine's CPU.

    Args:
        convert: Gives the network, as `convert_network` does; it is asked only where `folder` does
            not have it.
        shapes: Of an image, for each input. That the batch's is fixed as well makes it faster, and
            an image's result the same whatever images are computed with it.
        precision: "f32" or "bf16".
        folder: Of the converted network, which a later start need not convert again; None: it is
            not kept.

    Returns:
        A function from float32 [BATCH_SIZE, H, W, 3], one array for each input, to float32
        [BATCH_SIZE, ...].
    """
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    model = _read(folder) if folder else None
    if model is None:
        model = convert()
        if folder:
            _keep(model, folder)
    places = _input_places(model)
    model.reshape({k: [BATCH_SIZE, *shape] for k, shape in zip(places, shapes, strict=True)})
    compiled = _openvino().Core().compile_model(model, "CPU", settings)

    def run(*inputs: np.ndarray) -> np.ndarray:
        arrays = map(np.ascontiguousarray, inputs)
        return compiled(dict(zip(places, arrays, strict=True)), share_inputs=True)[0]

    return run


def _input_places(model: Any) -> list[int]:
    """Where a model has its first input, its second, ...: their names end in their numbers."""

    def number(place: int) -> int:
        name = min(model.inputs[place].get_names(), default="")
        return int(name.rpartition("_")[2]) if name[-1:].isdigit() else 0

    return sorted(range(len(model.inputs)), key=number)


def convert_network(network: Any) -> Any:
    """OpenVINO's form of a Keras model with one input, or of a SavedModel in a folder.

    A SavedModel may have several inputs, if their names end in their numbers, as in images_0.
    """
    with warnings.catch_warnings():
        # Of Keras, on being called with a list of inputs.
        warnings.simplefilter("ignore", UserWarning)
        return _openvino().convert_model(network)


def _read(folder: Path) -> Any:
    """The network that a folder holds; None where there is none, or a damaged one."""
    if not folder.exists():
        return None
    try:
        if (folder / DIGEST).read_text() != _digest(folder):
            raise ValueError("it has changed since")
        return _openvino().Core().read_model(folder / NETWORK)
    except (OSError, RuntimeError, ValueError) as error:
        if folder.exists():  # Otherwise another process has just deleted it.
            log.warning("%s in the cache is damaged and made again (%s).", folder, _line(error))
            shutil.rmtree(folder, ignore_errors=True)
        return None


def _digest(folder: Path) -> str:
    digests = []
    for name in (NETWORK, WEIGHTS):
        with open(folder / name, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return " ".join(digests)


def _keep(model: Any, folder: Path) -> None:
    try:
        with appearing_folder(folder) as temporary:
            # 16 bits, which save_model would choose, are not what was trained.
            _openvino().save_model(model, temporary / NETWORK, compress_to_fp16=False)
            (temporary / DIGEST).write_text(_digest(temporary))
    except (OSError, RuntimeError) as error:
        log.warning("The cache cannot be written (%s): going on without it.", _line(error))


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


@functools.cache
def _openvino() -> Any:
    # Converting would report to its makers; without this package it can't.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
