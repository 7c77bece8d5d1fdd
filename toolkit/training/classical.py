"""Scikit-learn's classifiers on frozen features, their settings chosen on the validation split."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from toolkit.choices import check_name
from toolkit.training.probe import MANY, feature_moments

LOGISTIC, LINEAR_SVM, RIDGE, KNN, RBF_SVM = CLASSIFIERS = (
    "logistic",
    "linear-svm",
    "ridge",
    "knn",
    "rbf-svm",
)

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    LOGISTIC: {"C": (1e-4, 1e-3, 1e-2, 1e-1, 1.0)},
    LINEAR_SVM: {"C": (1e-5, 1e-4, 1e-3, 1e-2)},
    RIDGE: {"alpha": (1e5, 1e4, 1e3, 1e2, 10.0, 1.0)},
    KNN: {"k": (1, 3, 5, 9, 15, 25)},
    RBF_SVM: {"C": (1.0, 10.0, 100.0), "gamma": (0.1, 0.3, 1.0)},
}
"""The values that are tried, all with all; gamma times 1 / D, the number of features."""

NOT_EXPORTED = {
    KNN: "knn needs all training features at hand, which a served network has not",
    RBF_SVM: "an rbf-svm is a sum over training images, not a layer of a network",
}
"""Why a classifier is measured, but not made a bundle of."""

LARGEST_LOG_SCALE = 10.0


@dataclass(frozen=True)
class Classical:
    """A fitted classifier.

    Attributes:
        name: One of `CLASSIFIERS`.
        setting: Its hyper-parameters, those of the lowest validation loss.
        scale: Decisions are multiplied by it before the softmax that makes them probabilities.
        losses: Validation cross-entropy (nats) of each setting that was tried.
        estimator: Scikit-learn's, fitted on standardized features.
        mean: What they were standardized with: float32 [D].
        deviation: As well.
    """

    name: str
    setting: dict[str, float]
    scale: float
    losses: list[tuple[dict[str, float], float]]
    estimator: Any
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def is_linear(self) -> bool:
        """Whether it can be a layer of a network."""
        return self.name not in NOT_EXPORTED

    def layer(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel [D, K] and bias [K], float32, whose softmax gives the probabilities.

        Standardization and scale are folded in. For linear classifiers alone.
        """
        # For two classes, ridge's are one axis short.
        coefficients = _two_columns(np.atleast_2d(self.estimator.coef_).T)
        intercept = _two_columns(np.atleast_2d(self.estimator.intercept_))[0]
        kernel = self.scale * coefficients / self.deviation[:, None]
        bias = self.scale * intercept - self.mean @ kernel
        return kernel.astype(np.float32), bias.astype(np.float32)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float32 [N, K] for features [N, D]."""
        if self.is_linear:  # As it is served.
            kernel, bias = self.layer()
            return softmax(features @ kernel + bias, axis=1).astype(np.float32)
        standardized = _standardized(features, self.mean, self.deviation)
        decisions = _decisions(self.name, self.estimator, standardized)
        return softmax(self.scale * decisions, axis=1).astype(np.float32)

    def scaled(self, factor: float) -> Self:
        """The same with decisions that are multiplied by a factor."""
        return replace(self, scale=self.scale * factor)


def check_classifier(name: str) -> None:
    """Refuses what is none of `CLASSIFIERS`.

    Raises:
        UnknownNameError: It is none; the nearest are offered.
    """
    check_name("classifier", name, CLASSIFIERS)


def fit_classical(
    name: str,
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
    *,
    seed: int = 0,
    progress: Callable[[list, int, str], Iterable] = lambda items, total, description: items,
) -> Classical:
    """Fits a classifier for each setting of its grid and takes the lowest validation loss.

    Features are standardized as the probe does (`feature_moments`). Logistic regression
    gives probabilities; the decisions of the others (distances from planes, and for knn the
    logarithms of the neighbours' shares, each class with 1 / K of a neighbour more) become
    probabilities by a softmax of them times one scale, that with the lowest validation loss: so
    the most probable class is the classifier's own decision.

    Args:
        name: One of `CLASSIFIERS`.
        features: float32 [N, D]; a standardized copy is held in memory.
        labels: int [N], 0 to K - 1, each at least once.
        validation_features: float32 [M, D].
        validation_labels: int [M].
        seed: Of the linear SVM's solver.
        progress: Shows how many settings are done.

    See Guo et al., "On Calibration of Modern Neural Networks", 2017 (one scale, "temperature
    scaling"), and Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """
    mean, deviation = feature_moments(features)
    standardized = _standardized(features, mean, deviation)
    validation = _standardized(validation_features, mean, deviation)
    best, losses = None, []
    settings = [
        setting for setting in _settings(name, features.shape[1]) if _fits(setting, len(features))
    ]
    for setting in progress(settings, len(settings), f"Fitting {name}"):
        estimator = _fit(name, setting, standardized, labels, seed)
        decisions = _decisions(name, estimator, validation)
        scale = 1.0 if name == LOGISTIC else fit_scale(decisions, validation_labels)
        loss = _cross_entropy(scale * decisions, validation_labels)
        losses.append((setting, loss))
        if best is None or loss < best[0]:
            best = loss, setting, scale, estimator
    if best is None:
        raise ValueError(f"There is no setting of {name} for {len(features)} images.")
    _, setting, scale, estimator = best
    return Classical(name, setting, scale, losses, estimator, mean, deviation)


def fit_scale(decisions: np.ndarray, labels: np.ndarray) -> float:
    """The factor whose softmax has the lowest cross-entropy.

    One more image is thought to be there, which may be of any class: or where all are decided
    rightly, no factor would be large enough.

    Args:
        decisions: float [N, K].
        labels: int [N].
    """
    unknown = 1 / (len(labels) + 1)

    def loss(log_scale: float) -> float:
        log_probabilities = log_softmax(np.exp(log_scale) * decisions, axis=1)
        of_true = log_probabilities[np.arange(len(labels)), labels].mean()
        return float(-(1 - unknown) * of_true - unknown * log_probabilities.mean())

    bounds = (-LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def _settings(name: str, width: int) -> Iterator[dict[str, float]]:
    grid = GRIDS[name]
    for values in product(*grid.values()):
        setting = dict(zip(grid, values, strict=True))
        yield setting | {key: setting[key] / width for key in setting if key == "gamma"}


def _fits(setting: dict[str, float], images: int) -> bool:
    return setting.get("k", 0) <= images


def _fit(
    name: str, setting: dict[str, float], features: np.ndarray, labels: np.ndarray, seed: int
) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    estimator = _make(name, setting, seed)
    with warnings.catch_warnings():
        # What has not converged is judged on validation as it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        with threadpool_limits(1 if len(features) < MANY else None, "blas"):
            return estimator.fit(features, labels)


def _make(name: str, setting: dict[str, float], seed: int) -> Any:
    # Only now: scikit-learn takes a second.
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC, LinearSVC

    makers: dict[str, Callable[..., Any]] = {
        LOGISTIC: lambda C: LogisticRegression(C=C, max_iter=1000),
        LINEAR_SVM: lambda C: LinearSVC(C=C, random_state=seed, max_iter=300),
        RIDGE: lambda alpha: RidgeClassifier(alpha=alpha),
        KNN: lambda k: KNeighborsClassifier(int(k)),
        RBF_SVM: lambda C, gamma: SVC(C=C, gamma=gamma),
    }
    return makers[name](**setting)


def _standardized(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return (np.asarray(features, np.float32) - mean) / deviation


def _decisions(name: str, estimator: Any, features: np.ndarray) -> np.ndarray:
    """A number for each class, the larger the likelier: float [N, K]."""
    if name != KNN:
        decisions = estimator.decision_function(features)
        return _two_columns(decisions[:, None]) if decisions.ndim == 1 else decisions
    shares = estimator.predict_proba(features)
    return np.log(shares * estimator.n_neighbors + 1 / shares.shape[1])


def _two_columns(decisions: np.ndarray) -> np.ndarray:
    """Of two classes, scikit-learn gives one column: that of the second, above 0 if it is it."""
    return np.hstack([-decisions, decisions]) / 2 if decisions.shape[1] == 1 else decisions


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
