"""Scikit-learn's classifiers: their own decisions, with probabilities, as a layer."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from tests.training.test_probe import scaler_of
from toolkit.errors import UnknownNameError
from toolkit.training.classical import (
    CLASSIFIERS,
    GRIDS,
    KNN,
    LINEAR_SVM,
    LOGISTIC,
    NOT_EXPORTED,
    RBF_SVM,
    RIDGE,
    check_classifier,
    fit_classical,
    fit_scale,
)

WIDTH = 6


def make_data(classes: int, count: int = 90, seed: int = 0):
    """Overlapping clouds, far from the origin and of uneven scales; one feature never changes."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(0, 1, (classes, WIDTH))
    labels = np.arange(count) % classes
    features = centres[labels] + random.normal(0, 0.8, (count, WIDTH))
    features = features * np.logspace(-1, 2, WIDTH) + 50
    features[:, 2] = 3.0
    return features.astype(np.float32), labels


def sklearns(name, setting, features, labels):
    makers = {
        LOGISTIC: lambda C: LogisticRegression(C=C, max_iter=1000),
        LINEAR_SVM: lambda C: LinearSVC(C=C, random_state=0, max_iter=300),
        RIDGE: lambda alpha: RidgeClassifier(alpha=alpha),
        KNN: lambda k: KNeighborsClassifier(k),
        RBF_SVM: lambda C, gamma: SVC(C=C, gamma=gamma, break_ties=True),
    }
    scaler = FrozenEstimator(scaler_of(features))
    return make_pipeline(scaler, makers[name](**setting)).fit(features, labels)


@pytest.fixture(params=[2, 4], scope="module")
def data(request):
    classes = request.param
    return make_data(classes), make_data(classes, seed=1), make_data(classes, 200, seed=2)[0]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_decisions_are_scikit_learns(name, data):
    train, validation, others = data
    fitted = fit_classical(name, *train, *validation)

    expected = sklearns(name, fitted.setting, *train).predict(others)
    probabilities = fitted.predict(others)
    # float32 here and float64 there may part a few that lie on the border.
    assert (probabilities.argmax(1) == expected).mean() > 0.99
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert probabilities.min() > 0 and probabilities.max() < 1


def test_logistic_regressions_probabilities_are_scikit_learns(data):
    train, validation, others = data
    fitted = fit_classical(LOGISTIC, *train, *validation)
    expected = sklearns(LOGISTIC, fitted.setting, *train).predict_proba(others)
    np.testing.assert_allclose(fitted.predict(others), expected, atol=2e-3)
    assert fitted.scale == 1


@pytest.mark.parametrize("name", [LOGISTIC, LINEAR_SVM, RIDGE])
def test_a_linear_one_is_a_layer(name, data):
    train, validation, others = data
    fitted = fit_classical(name, *train, *validation)
    kernel, bias = fitted.layer()
    classes = train[1].max() + 1
    assert kernel.shape == (WIDTH, classes) and bias.shape == (classes,)
    assert kernel.dtype == bias.dtype == np.float32 and fitted.is_linear
    pipeline = sklearns(name, fitted.setting, *train)
    decisions = pipeline.decision_function(others)
    logits = others @ kernel + bias
    if classes == 2:
        logits, decisions = logits[:, 1:] - logits[:, :1], decisions[:, None]
    np.testing.assert_allclose(logits, fitted.scale * decisions, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_setting_has_the_lowest_validation_loss_of_the_grid(name, data):
    train, validation, _ = data
    fitted = fit_classical(name, *train, *validation)
    losses = [loss for _, loss in fitted.losses]
    assert fitted.setting == fitted.losses[int(np.argmin(losses))][0]
    assert len(losses) == np.prod([len(values) for values in GRIDS[name].values()])
    of_true = fitted.predict(validation[0])[np.arange(len(validation[1])), validation[1]]
    assert -np.log(of_true).mean() == pytest.approx(min(losses), abs=1e-3)


def test_gamma_is_for_as_many_features_as_there_are(data):
    train, validation, _ = data
    tried = [setting["gamma"] for setting, _ in fit_classical(RBF_SVM, *train, *validation).losses]
    assert sorted(set(tried)) == pytest.approx([0.1 / WIDTH, 0.3 / WIDTH, 1 / WIDTH])


def test_of_few_images_no_more_neighbours_are_asked_than_there_are():
    train, validation = make_data(2, 6), make_data(2, 20, seed=1)
    fitted = fit_classical(KNN, *train, *validation)
    assert [setting["k"] for setting, _ in fitted.losses] == [1, 3, 5]


def test_the_scale_that_made_the_labels_is_found():
    random = np.random.default_rng(0)
    decisions = random.normal(0, 1, (20_000, 3))
    draws = random.uniform(size=(len(decisions), 1))
    labels = (softmax(2.5 * decisions, axis=1).cumsum(1) < draws).sum(1)
    assert fit_scale(decisions, labels) == pytest.approx(2.5, rel=0.03)


def test_where_all_is_right_the_scale_is_finite_and_grows_with_the_images():
    few, many = (
        fit_scale(np.eye(2)[np.arange(count) % 2], np.arange(count) % 2) for count in (10, 1000)
    )
    assert 1 < few < many < 20


def test_an_unknown_one_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean: rbf-svm, linear-svm"):
        check_classifier("svm")
    assert set(NOT_EXPORTED) == {KNN, RBF_SVM}
