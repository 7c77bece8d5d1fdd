"""The cheap answer: which engine it is computed by, and what it is measured on."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.conftest import quietly, write_images
from tests.networks import make_residual
from tests.test_options import GOOD
from toolkit import probing
from toolkit.cache import cache_folder
from toolkit.classifier import openvino
from toolkit.classifier.engine import BFLOAT16, FLOAT32, KERAS, Engine, keras_engine
from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.table import TRAIN, VALIDATION
from toolkit.evaluation.validation import measure_validation
from toolkit.probing import FrozenNetwork, compute_split_features, fit_on_features
from toolkit.progress import Reporter

PREPARATION = Preparation(16, 16)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """60 photos of three classes, a few of which are in a wrong one."""
    return write_images(tmp_path_factory.mktemp("photos"), 20)


@pytest.fixture
def said():
    """What the reporter said."""
    return []


@pytest.fixture
def frozen(said, monkeypatch):
    monkeypatch.setattr(Reporter, "say", lambda self, message: said.append(message))
    options = replace(GOOD, split=(0.4, 0.4, 0.2), seed=5)
    return FrozenNetwork(make_residual(), PREPARATION, options, Reporter(quiet=True))


def scanned(photos):
    return scan(list_source(photos), 10**8, quietly)


def named(frozen, name: str, run=None) -> Engine:
    """Keras under another name, or something else that computes."""
    engine = keras_engine(frozen.model)
    return replace(engine, name=name, run=run or engine.run)


def test_the_engine_is_compared_with_keras_on_real_images_of_all_the_data(
    frozen, photos, monkeypatch
):
    asked = []

    def choose(name, network, sample, keep):
        asked.append((name, network, keep))
        monkeypatch.setattr(probing, "seen", sample.read(), raising=False)
        return keras_engine(network)

    monkeypatch.setattr(probing, "choose_engine", choose)
    table = scanned(photos)
    frozen.engine("auto", table)

    assert asked == [("auto", frozen.model, True)]
    assert probing.seen.shape == (16, 16, 16, 3)
    [(_, images)] = image_batches(table, PREPARATION, len(table))
    rows = [
        int(np.flatnonzero((images == each).all((1, 2, 3)))[0]) for each in probing.seen
    ]  # Each is one of the data's.
    assert len(set(rows)) == 16
    assert set(table.labels[rows]) == {0, 1, 2}
    uncached = replace(frozen, options=replace(frozen.options, cache_size=0))
    uncached.engine("auto", table)
    assert asked[-1][-1] is False


def test_added_images_hardly_change_what_the_engine_is_compared_on(
    frozen, photos, tmp_path, monkeypatch
):
    seen = []
    monkeypatch.setattr(
        probing, "choose_engine", lambda name, network, sample, keep: seen.append(sample.read())
    )
    folder = shutil.copytree(photos, tmp_path / "photos")
    frozen.engine("auto", scanned(folder))
    (folder / "red").rename(folder / "zinnober")
    write_images(folder, 1, first_seed=800)
    frozen.engine("auto", scanned(folder))

    before, after = ({image.tobytes() for image in images} for images in seen)
    assert len(before & after) >= 16 - 3


def test_damaged_images_are_not_what_the_engine_is_compared_on(frozen, tmp_path, monkeypatch):
    folder = write_images(tmp_path / "photos", 20)
    for path in sorted(folder.rglob("*.jpg"))[:40]:
        path.write_bytes(path.read_bytes()[:-400])
    seen = []
    monkeypatch.setattr(
        probing, "choose_engine", lambda name, network, sample, keep: seen.append(sample.read())
    )
    frozen.engine("auto", scanned(folder))
    assert seen[0].shape == (16, 16, 16, 3)

    for path in sorted(folder.rglob("*.jpg"))[40:]:
        path.write_bytes(path.read_bytes()[:-400])
    frozen.engine("auto", scanned(folder))
    assert seen[1].shape == (1, 16, 16, 3), "a blank, as there is nothing else"


def test_split_features_are_of_all_readable_images_and_the_others_are_named(frozen, said, tmp_path):
    folder = write_images(tmp_path / "photos", 10)
    path = folder / "red" / "red-003.jpg"
    path.write_bytes(path.read_bytes()[:-400])

    features = compute_split_features(frozen, scanned(folder), keras_engine(frozen.model))

    assert (features.computed, len(features.table)) == (29, 29)
    assert set(features.table.splits) == {"train", "validation", "test"}
    (message,) = said
    assert message.startswith("Left out: red/red-003.jpg: damaged")


def test_an_exact_engines_features_are_what_the_probe_is_measured_on(frozen, photos, said):
    engine = named(frozen, FLOAT32)
    features = compute_split_features(frozen, scanned(photos), engine)

    probed = fit_on_features(frozen, features, engine)

    assert probed.engine is engine and probed.features is features
    validation = features.split(VALIDATION)
    probabilities = probed.probe.predict(validation.values)
    classes = features.table.classes
    assert probed.metrics == measure_validation(validation.table.labels, probabilities, classes)
    assert len(list(cache_folder().glob("features/*"))) == 1, "none are computed twice"
    assert said == []


def test_validation_metrics_are_of_exact_features_whatever_the_probe_is_fitted_on(
    frozen, photos, said
):
    def round_roughly(images):
        values = frozen.model.predict_on_batch(images)
        return values * np.float32(1.02)

    engine = named(frozen, BFLOAT16, round_roughly)
    features = compute_split_features(frozen, scanned(photos), engine)

    probed = fit_on_features(frozen, features, engine)

    assert probed.engine is engine and said == []
    assert probed.features.store.row.base == np.float16
    validation = features.split(VALIDATION)
    exact_engine = frozen.engine(FLOAT32, features.table)
    exact = frozen.features(validation.table, exact_engine)
    assert exact.computed == 0, "it was computed to measure the probe"
    by_keras = frozen.features(validation.table, keras_engine(frozen.model))
    np.testing.assert_allclose(exact.values, by_keras.values, rtol=1e-4, atol=1e-5)
    labels, classes = validation.table.labels, features.table.classes
    assert probed.metrics == measure_validation(labels, probed.probe.predict(exact.values), classes)
    assert (
        probed.metrics["loss"]
        != measure_validation(labels, probed.probe.predict(validation.values), classes)["loss"]
    )
    train = features.split(TRAIN)
    refitted = probing._fit(frozen, features)
    np.testing.assert_array_equal(probed.probe.kernel, refitted.kernel)
    assert len(train.values) == len(train.table)


def test_where_rounding_changes_the_probe_features_are_computed_again_in_float32(
    frozen, photos, said, monkeypatch
):
    def shuffle(images):  # As good to fit a probe on, and quite other than what is served.
        return frozen.model.predict_on_batch(images)[:, ::-1]

    chosen = []

    def choose(name, network, sample, keep):
        chosen.append(name)
        return named(frozen, name)

    monkeypatch.setattr(probing, "choose_engine", choose)
    features = compute_split_features(frozen, scanned(photos), named(frozen, BFLOAT16, shuffle))

    probed = fit_on_features(frozen, features, named(frozen, BFLOAT16, shuffle))

    assert chosen == [FLOAT32, FLOAT32], "to measure, and then for all"
    assert probed.engine.name == FLOAT32
    assert probed.features.store.row.base == np.float32
    assert list(probed.features.table.splits) == list(features.table.splits)
    exact = frozen.features(features.table, keras_engine(frozen.model))
    np.testing.assert_allclose(probed.features.values, exact.values, rtol=1e-6)
    (message,) = said
    assert message.startswith("openvino-bfloat16 changes the probe's validation accuracy by ")
    assert message.endswith("features are computed again in float32.")
    validation = probed.features.split(VALIDATION)
    probabilities = probed.probe.predict(validation.values)
    classes = features.table.classes
    assert probed.metrics == measure_validation(validation.table.labels, probabilities, classes)


@pytest.mark.parametrize(
    ("images", "lost", "won", "sure"),
    [
        (20, 0, 0, False),
        (20, 1, 0, False),  # One image is chance.
        (20, 3, 0, False),
        (20, 8, 0, True),
        (20, 8, 8, False),  # Other images are wrong, and no more of them.
        (10_000, 15, 0, False),  # 0.15 points.
        (10_000, 60, 0, True),
        (10_000, 0, 60, True),  # For the better is no less of a change.
        (10_000, 300, 260, False),
        (10_000, 500, 300, True),
    ],
)
def test_a_change_of_accuracy_counts_that_is_more_than_chance(images, lost, won, sure):
    exact, rounded = np.zeros(images, bool), np.zeros(images, bool)
    exact[:lost] = rounded[lost : lost + won] = True
    assert (probing._sure_change(rounded, exact) > probing.LARGEST_CHANGE) == sure


@pytest.mark.parametrize(("name", "again"), [(KERAS, False), (FLOAT32, False), (BFLOAT16, True)])
def test_exact_features_are_computed_only_where_the_engine_rounds(frozen, photos, name, again):
    engine = named(frozen, name)
    table = scanned(photos)
    features = compute_split_features(frozen, table, engine).split("test")
    exact = frozen.exact(features, engine, table, "Testing")
    assert (exact is not features) == again
    if again:
        assert exact.computed == len(features.table)
        assert exact.store.row.base == np.float32


def test_what_was_compared_before_is_neither_read_nor_made_ready_again(frozen, photos, monkeypatch):
    table = scanned(photos)
    engine = frozen.engine(FLOAT32, table)
    computed = compute_split_features(frozen, table, engine)

    def refuse(*arguments):
        raise AssertionError("it is done again")

    monkeypatch.setattr(probing, "image_batches", refuse)
    monkeypatch.setattr(openvino, "compile_network", refuse)
    again = frozen.engine(FLOAT32, scanned(photos))
    assert again.difference == engine.difference
    warm = compute_split_features(frozen, scanned(photos), again)
    np.testing.assert_array_equal(warm.values, computed.values)
    with pytest.raises(AssertionError, match="done again"):
        frozen.engine(FLOAT32, table.rows(np.arange(20)))


def test_without_a_cache_nothing_is_written(frozen, photos):
    uncached = replace(frozen, options=replace(frozen.options, cache_size=0))
    engine = uncached.engine("auto", scanned(photos))
    features = compute_split_features(uncached, scanned(photos), engine)
    fit_on_features(uncached, features, engine)
    assert not cache_folder().exists()
    assert isinstance(frozen.model, keras.Model)
