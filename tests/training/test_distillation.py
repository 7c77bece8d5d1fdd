"""The loss of distillation against values worked out with NumPy, and what it teaches."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tests.training.test_fine_tuning import make_data, train
from toolkit.errors import OptionError
from toolkit.training.distillation import check_distillation, distilled
from toolkit.training.losses import CROSS_ENTROPY, make_loss

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(0, 2, (5, 3)).astype(np.float32)
TEACHER = RANDOM.dirichlet(np.ones(3), 5).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 0]]
TARGETS = np.concatenate([LABELS, TEACHER], axis=1)


def values(share, temperature, targets=TARGETS, logits=LOGITS):
    loss = distilled(make_loss(CROSS_ENTROPY, 0.0), share, temperature)
    return np.array(loss(keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(logits)))


@pytest.mark.parametrize(("share", "temperature"), [(0.5, 2.0), (1.0, 1.0), (0.2, 4.0)])
def test_reference_values(share, temperature):
    soft = softmax(np.log(TEACHER) / temperature, axis=1)
    divergence = (soft * (np.log(soft) - log_softmax(LOGITS / temperature, axis=1))).sum(axis=1)
    hard = -(LABELS * log_softmax(LOGITS, axis=1)).sum(axis=1)
    expected = (1 - share) * hard + share * temperature**2 * divergence
    np.testing.assert_allclose(values(share, temperature), expected, rtol=1e-4, atol=1e-5)


def test_who_says_what_the_teacher_says_is_told_nothing_more():
    same = np.log(TEACHER) + 5
    np.testing.assert_allclose(values(1.0, 3.0, logits=same), 0, atol=1e-5)


def test_a_teacher_without_any_doubt_gives_finite_numbers():
    sure = np.concatenate([LABELS, LABELS], axis=1)
    assert np.isfinite(values(0.5, 1.0, targets=sure)).all()


def test_a_training_learns_from_the_teacher_and_is_validated_by_labels(tmp_path):
    features, labels = make_data()
    teacher = softmax(features[:, :3] * 3, axis=1)  # It says something else than the labels.
    targets = np.concatenate([np.eye(3, dtype=np.float32)[labels], teacher], axis=1)
    measured = features, np.eye(3, dtype=np.float32)[labels]
    options = {"teacher": "x", "teacher_temperature": 1.0, "epochs": 60, "one_hot": True}
    agreements, losses = [], []
    for share in (1e-6, 1.0):
        folder = tmp_path / str(share)
        arrays = features, targets
        [kernel, bias], history = train(folder, arrays, measured, teacher_share=share, **options)
        said = features @ kernel + bias
        agreements.append(np.mean(said.argmax(axis=1) == teacher.argmax(axis=1)))
        losses.append(history[-1]["val_loss"])
        best = min(history, key=lambda row: row["val_loss"])
        of_labels = -log_softmax(said, axis=1)[np.arange(len(labels)), labels].mean()
        assert best["val_loss"] == pytest.approx(of_labels, rel=1e-4), "plain cross-entropy"
        assert history[-1]["accuracy"] <= 1
    assert agreements[1] > agreements[0] and losses[1] > losses[0]


def taught(folder):
    """The history of a training with a teacher, with weights and smoothed labels."""
    features, labels = make_data(17)
    hard = np.eye(3, dtype=np.float32)[labels]
    targets = np.concatenate([hard, softmax(features[:, :3], axis=1)], axis=1)
    weights = hard @ np.array([0.5, 2, 1], np.float32)
    options = {"teacher": "x", "label_smoothing": 0.1, "one_hot": True}
    return train(folder, (features, targets, weights), (features, hard), **options)[1]


def test_a_share_of_nothing_is_a_training_without_a_teacher(tmp_path):
    features, labels = make_data()
    hard = np.eye(3, dtype=np.float32)[labels]
    taught = np.concatenate([hard, softmax(features[:, :3], axis=1)], axis=1)
    measured = features, hard
    plain, _ = train(tmp_path / "plain", (features, hard), measured, one_hot=True)
    options = {"teacher": "x", "teacher_share": 1e-9}
    same, _ = train(tmp_path / "taught", (features, taught), measured, one_hot=True, **options)
    np.testing.assert_allclose(same[0], plain[0], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("model", 0.0, 2.0, False), "--teacher-share must be above 0"),
        (("model", 1.5, 2.0, False), "--teacher-share must be above 0"),
        (("model", 0.5, 0.5, False), "--teacher-temperature must be from 1 to 100"),
        (("model", 0.5, float("nan"), False), "--teacher-temperature must be from 1 to 100"),
        ((None, 0.7, 2.0, False), "--teacher-share must be left out without --teacher"),
        ((None, 0.5, 3.0, False), "--teacher-temperature must be left out without --teacher"),
        (("model", 0.5, 2.0, True), "--teacher must be left out with --mix"),
    ],
)
def test_bad_input(arguments, rule):
    with pytest.raises(OptionError, match=rule):
        check_distillation(*arguments)
