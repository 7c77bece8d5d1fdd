"""What Keras' backend computes on."""

import keras


def is_on_gpu() -> bool:
    """Whether it computes on a GPU here."""
    # Asked for GPUs alone, JAX raises an error where there is none.
    return any(name.startswith("gpu") for name in keras.distribution.list_devices())
