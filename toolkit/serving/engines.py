"""What can run a bundle's network, and which is used for how many images."""

from toolkit.classifier import openvino
from toolkit.errors import MissingPackageError, OptionError

TENSORFLOW, FLOAT32, BFLOAT16 = "tensorflow", "openvino-float32", "openvino-bfloat16"
ENGINES = (TENSORFLOW, FLOAT32, BFLOAT16)

LARGEST_DIFFERENCE = {FLOAT32: 1e-3, BFLOAT16: 0.03}
"""From the SavedModel's probabilities, as a share of their Euclidean norm."""

MANY = 1000
"""Images, from which on converting the network takes less time than it saves."""


def check_engine(name: str) -> None:
    """Refuses what is no engine, or not installed.

    Raises:
        OptionError: There is no such engine.
        MissingPackageError: It is not installed.
    """
    if name not in ("auto", *ENGINES):
        raise OptionError("--engine", f"one of auto, {', '.join(ENGINES)}", name)
    if name in LARGEST_DIFFERENCE and not openvino.is_installed():
        raise MissingPackageError(f"--engine {name}", "openvino")


def choose_engine(name: str, images: int) -> str:
    """The engine that a name stands for, given how many images there are.

    "auto" is OpenVINO in float32, which gives the SavedModel's own probabilities, where there is
    no GPU and images enough to be worth it; otherwise TensorFlow.
    """
    if name != "auto":
        return name
    import tensorflow as tf

    gpu = bool(tf.config.list_physical_devices("GPU"))
    return FLOAT32 if images >= MANY and not gpu and openvino.is_installed() else TENSORFLOW
