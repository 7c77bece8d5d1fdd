import numpy as np
import pytest
import threadpoolctl
from scipy.optimize import approx_fprime
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from toolkit.training import probe as probe_module
from toolkit.training.imbalance import class_weights
from toolkit.training.probe import STRENGTHS, Probe, feature_moments, fit_probe


def make_data(count: int = 300, width: int = 12, classes: int = 4, seed: int = 0):
    """Features of very different scales, with overlapping classes."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    scales, offsets = 10.0 ** np.linspace(-1, 1, width), np.linspace(-3, 3, width)
    features = (centres[labels] + random.normal(0, 1.5, (count, width))) * scales + offsets
    return features.astype(np.float32), labels


@pytest.fixture(scope="module")
def data():
    return *make_data(), *make_data(200, seed=1)


def scaler_of(features) -> StandardScaler:
    """scikit-learn's, with the mean variance of all columns that vary added to each one's."""
    scaler = StandardScaler().fit(features.astype(np.float64))
    scaler.scale_ = np.sqrt(scaler.var_ + scaler.var_[scaler.var_ > 0].mean())
    return scaler


def sklearns(features, labels, strength: float, class_weight=None):
    """The same objective: C times the sum of losses, plus half the squared weights."""
    # With two classes, scikit-learn has one vector of weights: the difference of our two.
    share = 2 if labels.max() == 1 else 1
    scaler = scaler_of(features)
    model = LogisticRegression(
        C=share / (len(labels) * strength),
        tol=1e-10,
        max_iter=10_000,
        class_weight=class_weight,
    )
    model.fit(scaler.transform(features.astype(np.float64)), labels)
    return lambda x: model.predict_proba(scaler.transform(x.astype(np.float64)))


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_scikit_learns_logistic_regression(strength, classes):
    features, labels = make_data(classes=classes)
    probe = fit_probe(features, labels, features, labels, classes, [strength])

    expected = sklearns(features, labels, strength)(features)
    np.testing.assert_allclose(probe.predict(features), expected, atol=5e-3)
    # At the optimum, so that the loss agrees much closer than the weights.
    loss = -np.log(expected[np.arange(len(labels)), labels]).mean()
    assert probe.losses[strength] == pytest.approx(loss, rel=2e-3)


@pytest.mark.parametrize("strength", [1e-3, 1e-1])
@pytest.mark.parametrize("classes", [2, 4])
def test_balanced_it_is_scikit_learns_balanced_one(strength, classes):
    features, labels = uneven(*make_data(600, classes=classes))
    weights = class_weights(labels, classes)
    probe = fit_probe(features, labels, features, labels, classes, [strength], weights)

    expected = sklearns(features, labels, strength, "balanced")(features)
    np.testing.assert_allclose(probe.predict(features), expected, atol=5e-3)
    losses = -np.log(expected[np.arange(len(labels)), labels])
    by_class = [losses[labels == k].mean() for k in range(classes)]
    assert probe.losses[strength] == pytest.approx(np.mean(by_class), rel=2e-3), "weighted, too"
    plain = fit_probe(features, labels, features, labels, classes, [strength])
    assert np.abs(plain.predict(features) - expected).max() > 0.1


def uneven(features, labels):
    """Of class 0 only every eighth row."""
    kept = np.flatnonzero(labels == 0)[::8]
    rows = np.sort(np.concatenate([kept, np.flatnonzero(labels)]))
    return features[rows], labels[rows]


def test_balanced_classes_of_one_size_change_no_bit(data):
    features, labels = make_data(400)
    rows = np.concatenate([np.flatnonzero(labels == k)[:70] for k in range(4)])
    features, labels = features[rows], labels[rows]
    weights = class_weights(labels, 4)

    balanced = fit_probe(features, labels, *data[2:], 4, class_weights=weights)

    plain = fit_probe(features, labels, *data[2:], 4)
    assert (balanced.strength, balanced.losses) == (plain.strength, plain.losses)
    np.testing.assert_array_equal(balanced.kernel, plain.kernel)
    np.testing.assert_array_equal(balanced.bias, plain.bias)


def test_the_strength_is_chosen_by_what_is_minimized():
    train = uneven(*make_data(600))
    validation = uneven(*make_data(400, seed=1))
    weights = class_weights(train[1], 4)

    probe = fit_probe(*train, *validation, 4, class_weights=weights)

    for strength, loss in probe.losses.items():
        alone = fit_probe(*train, *validation, 4, [strength], weights)
        rows = np.arange(len(validation[1]))
        losses = -np.log(alone.predict(validation[0])[rows, validation[1]])
        expected = np.average(losses, weights=weights[validation[1]])
        assert loss == pytest.approx(expected, rel=2e-3)
    assert probe.losses[probe.strength] == min(probe.losses.values())


def test_probabilities(data):
    probe = fit_probe(*data, 4)
    probabilities = probe.predict(data[2])

    assert probabilities.shape == (200, 4)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == data[3]).mean() > 0.7
    assert (probe.kernel.shape, probe.bias.shape) == ((12, 4), (4,))
    assert (probe.kernel.dtype, probe.bias.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_the_gradient_is_that_of_finite_differences(strength, weighted):
    features, labels = make_data(60, 5, 3)
    weights = np.array([0.2, 3, 1] if weighted else [1, 1, 1], np.float32)[labels]
    mean, deviation = probe_module.feature_moments(features)
    parameters = np.random.default_rng(0).normal(0, 0.5, 6 * 3)

    def evaluate(x):
        return probe_module._loss_and_gradient(
            x, features, labels, weights, mean, deviation, strength
        )

    def exact(x):  # In double precision, on features that are standardized beforehand.
        kernel, bias = np.split(x.reshape(6, 3), [5])
        logits = (features.astype(float) - mean) / deviation @ kernel + bias
        loss = -(weights * log_softmax(logits, 1)[np.arange(60), labels]).mean()
        return loss + strength / 2 * np.square(kernel).sum()

    loss, gradient = evaluate(parameters)
    assert loss == pytest.approx(exact(parameters), rel=1e-5)
    numeric = approx_fprime(parameters, exact, 1e-6)
    np.testing.assert_allclose(gradient, numeric, atol=1e-4)


def test_chunks_make_no_difference(data, monkeypatch):
    whole = fit_probe(*data, 4)
    for chunk in (1, 7, 300):
        monkeypatch.setattr(probe_module, "_CHUNK", chunk)
        chunked = fit_probe(*data, 4, strengths=[whole.strength])
        alone = fit_probe(*data, 4, strengths=[whole.strength])
        np.testing.assert_array_equal(chunked.kernel, alone.kernel)
        np.testing.assert_allclose(chunked.predict(data[2]), whole.predict(data[2]), atol=5e-3)
        if chunk > 1:
            monkeypatch.undo()


def test_features_may_be_mapped_from_disk(data, tmp_path):
    np.save(tmp_path / "features.npy", data[0])
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")

    one, two = fit_probe(mapped, *data[1:], 4), fit_probe(*data, 4)

    np.testing.assert_array_equal(one.kernel, two.kernel)
    assert type(one.kernel) is type(one.bias) is np.ndarray


def test_float16_that_is_mapped_from_disk_gives_what_float32_in_memory_gives(data, tmp_path):
    halves = []
    for name, features in (("train", data[0]), ("validation", data[2])):
        np.save(tmp_path / f"{name}.npy", features.astype(np.float16))
        halves.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    rounded = [np.array(half, np.float32) for half in halves]

    mapped = fit_probe(halves[0], data[1], halves[1], data[3], 4)

    in_memory = fit_probe(rounded[0], data[1], rounded[1], data[3], 4)
    np.testing.assert_array_equal(mapped.kernel, in_memory.kernel)
    assert mapped.kernel.dtype == np.float32
    assert mapped.losses == pytest.approx(in_memory.losses, rel=1e-6)
    np.testing.assert_allclose(mapped.predict(halves[1]), in_memory.predict(rounded[1]), atol=1e-6)
    exact = fit_probe(*data, 4)
    np.testing.assert_allclose(mapped.predict(halves[1]), exact.predict(data[2]), atol=2e-2)


def test_one_thread_where_there_are_few_rows_changes_no_result(data, monkeypatch):
    limits = []
    limit = probe_module.threadpool_limits

    def spy(threads, api):
        limits.append((threads, api))
        return limit(threads, api)

    monkeypatch.setattr(probe_module, "threadpool_limits", spy)
    one = fit_probe(*data, 4)
    monkeypatch.setattr(probe_module, "MANY", len(data[0]))
    many = fit_probe(*data, 4)

    assert limits == [(1, "blas")] * len(STRENGTHS) + [(None, "blas")] * len(STRENGTHS)
    assert one.strength == many.strength
    np.testing.assert_allclose(one.predict(data[2]), many.predict(data[2]), atol=5e-3)
    assert one.losses == pytest.approx(many.losses, rel=1e-3)


def test_the_threads_are_as_before_when_a_probe_is_fitted(data):
    def threads():
        pools = threadpoolctl.threadpool_info()
        return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]

    before = threads()
    fit_probe(*data, 4)
    assert threads() == before


def test_the_strength_with_the_lowest_validation_loss_is_taken(data):
    probe = fit_probe(*data, 4)

    assert set(probe.losses) == set(STRENGTHS)
    assert probe.losses[probe.strength] == min(probe.losses.values())
    assert len(set(probe.losses.values())) == len(STRENGTHS)
    for strength, loss in probe.losses.items():
        alone = fit_probe(*data, 4, strengths=[strength])
        probabilities = alone.predict(data[2])[np.arange(200), data[3]]
        assert -np.log(probabilities).mean() == pytest.approx(loss, rel=2e-3)


def test_each_end_of_the_strengths_can_win():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 40)).astype(np.float32), np.arange(60) % 3
    noise = fit_probe(features, labels, features[::-1], labels, 3)
    assert noise.strength == max(STRENGTHS)  # Nothing to learn: the weights stay small.

    features = np.eye(3, dtype=np.float32)[labels] + 0.01 * features[:, :3]
    clear = fit_probe(features, labels, features, labels, 3)
    assert clear.strength == min(STRENGTHS)


def test_separable_data_is_separated_and_stays_finite():
    features = np.repeat(np.array([[-1.0, 0], [1, 0], [0, 3]], np.float32), 20, 0)
    labels = np.repeat(np.arange(3), 20)

    probe = fit_probe(features, labels, features, labels, 3)

    assert (probe.predict(features).argmax(1) == labels).all()
    assert np.isfinite(probe.kernel).all()
    assert probe.predict(features)[np.arange(60), labels].min() > 0.98


@pytest.mark.parametrize("constant", [0.0, 5.0, -300.0, 1e-9])
def test_constant_columns_change_nothing(data, constant):
    def widened(features):
        return np.insert(features, [3, 7], np.float32(constant), axis=1)

    probe = fit_probe(widened(data[0]), data[1], widened(data[2]), data[3], 4)

    expected = fit_probe(*data, 4)
    assert probe.strength == expected.strength
    np.testing.assert_allclose(
        probe.predict(widened(data[2])), expected.predict(data[2]), atol=5e-3
    )
    assert np.abs(probe.kernel[[3, 8]]).max() < 1e-3


def test_scale_and_offset_do_not_matter(data):
    offset = np.arange(12, dtype=np.float32)
    one = fit_probe(*data, 4)
    two = fit_probe(data[0] * 8 + offset, data[1], data[2] * 8 + offset, data[3], 4)

    assert one.strength == two.strength
    np.testing.assert_allclose(two.predict(data[2] * 8 + offset), one.predict(data[2]), atol=5e-3)


def test_a_column_that_hardly_varies_in_training_does_not_shout_where_it_does(data):
    quiet, loud = (np.zeros([len(rows), 1], np.float32) for rows in (data[0], data[2]))
    quiet[0], loud[:] = 1e-3, 3.0
    mean, deviation = feature_moments(np.hstack([data[0], quiet]))
    assert np.abs((np.hstack([data[2], loud]) - mean) / deviation).max() < 10


def test_a_class_without_validation_images_is_no_matter(data):
    kept = data[3] != 2
    assert fit_probe(data[0], data[1], data[2][kept], data[3][kept], 4).kernel.shape == (12, 4)


def test_large_logits_do_not_overflow():
    probe = Probe(np.array([[1e4, -1e4]], np.float32), np.zeros(2, np.float32), 1.0, {})

    np.testing.assert_array_equal(
        probe.predict(np.array([[1.0], [-1.0]], np.float32)), [[1, 0], [0, 1]]
    )
