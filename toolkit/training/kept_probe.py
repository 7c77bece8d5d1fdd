"""A probe that is fitted once: the same rows and labels have it in the cache."""

import hashlib

import numpy as np

from toolkit.cache import cached_folder
from toolkit.classifier.store import ArrayStore
from toolkit.training.probe import STRENGTHS, Probe, fit_probe

_CHUNK = 8192
_STRENGTHS = sorted(STRENGTHS, reverse=True)
_RULE = "L-BFGS, 1"
"""To be counted up when `fit_probe` changes what it gives."""


def fit_probe_once(
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
    classes: int,
    class_weights: np.ndarray | None = None,
    *,
    network: str,
    keep: bool = True,
) -> Probe:
    """What `fit_probe` gives, which is fitted only if the cache does not have it.

    The key is all that it is fitted on, bit by bit, so a change of any kind is seen. Reading 10,000
    rows of 1,280 values takes 0.05 s.

    Args:
        features: As all further ones, see `fit_probe`.
        labels: Of the training split.
        validation_features: Of the validation split.
        validation_labels: Of these.
        classes: K.
        class_weights: Of the loss.
        network: What the features are of: `toolkit cache` shows it.
        keep: Whether the cache is used.
    """
    given = features, labels, validation_features, validation_labels, class_weights
    key = {"network": network, "rule": _RULE, "fitted on": _digest(*given)}
    size = (features.shape[1] + 1) * classes + len(_STRENGTHS)
    store = ArrayStore(cached_folder("probes", key, keep), (size,), "float64", keep)
    if store.missing([key["fitted on"]]):
        probe = fit_probe(*given[:4], classes, class_weights=class_weights)
        store.add([key["fitted on"]], _packed(probe)[None])
    return _unpacked(store.read([key["fitted on"]])[0], classes)


def _digest(*arrays: np.ndarray | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.dtype}{array.shape}".encode())
        for start in range(0, len(array), _CHUNK):  # They may be mapped from disk.
            digest.update(array[start : start + _CHUNK].tobytes())
    return digest.hexdigest()


def _packed(probe: Probe) -> np.ndarray:
    """All numbers of a probe: float64, which holds those of float32 to the bit."""
    losses = np.array([probe.losses[strength] for strength in _STRENGTHS])
    return np.concatenate([probe.kernel.ravel(), probe.bias, losses], dtype=np.float64)


def _unpacked(numbers: np.ndarray, classes: int) -> Probe:
    weights, losses = np.split(numbers, [-len(_STRENGTHS)])
    kernel, bias = np.split(weights.astype(np.float32).reshape(-1, classes), [-1])
    by_strength = dict(zip(_STRENGTHS, map(float, losses), strict=True))
    best = min(by_strength, key=by_strength.__getitem__)
    return Probe(kernel, bias[0], strength=best, losses=by_strength)
