"""Made-up predictions of members that are right in different places."""

import numpy as np


def make_predictions(n=200, k=3, members=3, seed=0, dtype=np.float64, shared=1.0):
    """Labels [n], and probabilities [members, n, k], each better than chance and far from sure.

    What is hard for all of them grows with `shared`.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    common = shared * random.normal(size=(n, k))
    strengths = np.linspace(1.5, 0.7, members)[:, None, None]
    logits = common + random.normal(size=(members, n, k)) + strengths * np.eye(k)[labels]
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    return labels, probabilities.astype(dtype)


def log_loss(labels, probabilities):
    return float(-np.log(probabilities[np.arange(len(labels)), labels].clip(1e-7)).mean())
