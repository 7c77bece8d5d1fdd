import json
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from toolkit.evaluation.metrics import measure, measure_answered

CLASSES = ["cat", "dog", "eel"]


def predictions(n=200, k=3, seed=0, dtype=np.float64):
    """Labels and probabilities that are better than chance and far from perfect."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    logits = random.normal(size=(n, k)) + 1.5 * np.eye(k)[labels]
    probabilities = np.exp(logits)
    return labels, (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(dtype)


def one_hot(predicted, k=3):
    return np.eye(k)[predicted]


def test_a_case_worked_out_by_hand():
    probabilities = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]]
    measured = measure([0, 0, 1, 2], probabilities, CLASSES)
    assert measured["n"] == 4
    assert measured["accuracy"] == 0.75
    assert measured["loss"] == pytest.approx(-math.log(0.7 * 0.6 * 0.8 * 0.3) / 4)
    assert measured["per_class"] == {
        "cat": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2},
        "dog": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1},
        "eel": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
    }
    assert measured["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_what_is_not_answered_counts_for_the_selective_figures_alone():
    labels, probabilities = predictions()
    plain, measured = (measure(labels, probabilities, CLASSES, each) for each in (0.0, 0.6))
    selective = measured.pop("selective")
    assert measured == plain
    sure = probabilities.max(axis=1) >= 0.6
    kept = measure(labels[sure], probabilities[sure], CLASSES)
    assert selective["reject_below"] == 0.6
    assert selective["answered"] == kept["n"] == sure.sum()
    assert selective["coverage"] == sure.mean()
    assert selective["coverage_ci95"][0] < sure.mean() < selective["coverage_ci95"][1]
    assert selective["accuracy"] == kept["accuracy"] > plain["accuracy"]
    assert selective["accuracy_ci95"] == kept["accuracy_ci95"]


def test_nothing_may_be_answered():
    labels, probabilities = predictions()
    selective = measure(labels, probabilities, CLASSES, 1 - 1e-9)["selective"]
    assert selective["answered"] == selective["coverage"] == 0
    assert selective["accuracy"] is selective["accuracy_ci95"] is None
    json.dumps(selective)


def test_the_threshold_itself_is_answered_in_either_precision():
    probabilities = np.array([[0.7, 0.3], [0.69, 0.31]])
    for dtype in (np.float32, np.float64):
        given = measure_answered(np.array([0, 0]), probabilities.astype(dtype), 0.7)
        assert given["answered"] == 1


def test_agrees_with_scikit_learn():
    labels, probabilities = predictions()
    measured = measure(labels, probabilities, CLASSES)
    predicted = probabilities.argmax(axis=1)
    assert measured["loss"] == pytest.approx(log_loss(labels, probabilities), rel=1e-12)
    assert measured["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))


# The first four are the examples of Newcombe, "Two-sided confidence intervals for the single
# proportion", Statistics in Medicine 17, 1998, table I, method 3; the others are the formula's.
@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_interval(correct, n, low, high):
    predicted = [0] * correct + [1] * (n - correct)
    measured = measure([0] * n, one_hot(predicted, 2), ["cat", "dog"])
    assert measured["accuracy_ci95"] == pytest.approx([low, high], abs=6e-5)


def test_perfect_prediction_scores_one():
    labels = np.array([0, 1, 2, 2])
    measured = measure(labels, one_hot(labels), CLASSES)
    assert measured["accuracy"] == measured["macro_f1"] == measured["accuracy_ci95"][1] == 1
    assert measured["loss"] == pytest.approx(1e-7, rel=1e-3)  # of the clipping


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_uniform_probabilities_lose_log_k(k):
    measured = measure([0, 1], np.full((2, k), 1 / k), [str(i) for i in range(k)])
    assert measured["loss"] == pytest.approx(math.log(k))


def test_a_sure_mistake_loses_a_finite_amount():
    assert measure([0], one_hot([1]), CLASSES)["loss"] == pytest.approx(-math.log(1e-7))


def test_invariant_to_the_order_of_images_and_classes():
    labels, probabilities = predictions()
    measured = measure(labels, probabilities, CLASSES)
    images = np.random.default_rng(1).permutation(len(labels))
    order = np.array([2, 0, 1])
    again = measure(
        np.argsort(order)[labels[images]],
        probabilities[images][:, order],
        [CLASSES[i] for i in order],
    )
    assert again["per_class"] == measured["per_class"]
    for name in ("accuracy", "accuracy_ci95", "macro_f1", "loss"):
        assert again[name] == pytest.approx(measured[name], rel=1e-12)


def test_a_class_in_neither_labels_nor_predictions_leaves_macro_f1_alone():
    measured = measure([0, 1, 1], one_hot([0, 1, 0]), CLASSES)
    assert measured["per_class"]["eel"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert measured["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_class_that_is_only_predicted_counts_as_zero():
    measured = measure([0, 1], one_hot([0, 2]), CLASSES)
    assert measured["macro_f1"] == pytest.approx((1 + 0 + 0) / 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_thousand_classes_in_any_precision(dtype):
    labels, probabilities = predictions(500, 1000, dtype=dtype)
    measured = measure(labels, probabilities, [f"class {i}" for i in range(1000)])
    expected = measure(labels, predictions(500, 1000)[1], [f"class {i}" for i in range(1000)])
    assert len(measured["per_class"]) == 1000
    assert sum(row["support"] for row in measured["per_class"].values()) == 500
    assert measured["loss"] == pytest.approx(expected["loss"], rel=2e-3)


def test_survives_json_unchanged():
    measured = measure(*predictions(dtype=np.float32), CLASSES)
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured
    assert list(measured["per_class"]) == CLASSES


def test_leaves_its_arguments_alone():
    labels, probabilities = predictions()
    before = labels.copy(), probabilities.copy()
    measure(labels, probabilities, CLASSES)
    assert np.array_equal(labels, before[0])
    assert np.array_equal(probabilities, before[1])


THIRDS = [[1 / 3] * 3]


@pytest.mark.parametrize(
    ("labels", "probabilities", "classes", "message"),
    [
        ([0, 1], THIRDS, CLASSES, r"shape \[N\].*Received: labels \(2,\), probabilities \(1, 3\)"),
        ([0], THIRDS, ["cat", "dog"], r"Received: .* 2 classes"),
        ([[0]], THIRDS, CLASSES, r"Received: labels \(1, 1\)"),
        ([], np.zeros((0, 3)), CLASSES, r"at least 1.*Received: labels \(0,\)"),
        ([0], THIRDS, ["cat", "cat", "dog"], r"all different.*'cat', 'cat'"),
        ([0.0], THIRDS, CLASSES, r"integers.*float64"),
        ([3], THIRDS, CLASSES, r"\[0, 3\).*3 to 3"),
        ([-1], THIRDS, CLASSES, r"\[0, 3\).*-1 to -1"),
        ([0], [[1, 0, 0]], CLASSES, r"floats.*int64"),
        ([0], [[0.5, 0.5, 0.002]], CLASSES, r"sum to 1.*row 0 with sum 1.002"),
        ([0], [[1.5, -0.5, 0.0]], CLASSES, r"at least 0.*minimum -0.5"),
        ([0, 0], [*THIRDS, [math.nan, 0.5, 0.5]], CLASSES, r"without NaN.*1 other.* row 1 "),
        ([0], [[math.inf, 0.0, 0.0]], CLASSES, r"sum inf"),
    ],
)
def test_arguments_that_do_not_fit(labels, probabilities, classes, message):
    with pytest.raises(ValueError, match=message):
        measure(labels, probabilities, classes)
