import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import ROOT, draw_image, quietly, write_images
from tests.networks import make_network
from toolkit.cache import cache_folder, entries
from toolkit.classifier import features as features_module
from toolkit.classifier import store as store_module
from toolkit.classifier.engine import BFLOAT16, FLOAT32, KERAS, MIXED, Engine, keras_engine
from toolkit.classifier.features import Features, compute_features
from toolkit.classifier.identity import weights_digest
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source

PREPARATION = Preparation(16, 16)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return make_network()


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_images(tmp_path / "photos", 12)


def compute(
    folder: Path,
    network: keras.Model,
    preparation: Preparation = PREPARATION,
    engine: Engine | None = None,
    **how,
) -> Features:
    table = scan(list_source(folder), 10**8, quietly)
    engine = engine or keras_engine(network)
    return compute_features(table, network, preparation, engine, quietly, **how)


def by_path(features) -> dict[str, bytes]:
    pairs = zip(features.table.paths, features.values, strict=True)
    return {path: value.tobytes() for path, value in pairs}


def test_values_are_the_networks(photos, network):
    features = compute(photos, network)

    assert features.values.shape == (36, 4)
    assert features.values.dtype == np.float32
    assert features.computed == 36
    for row in (0, 20, 35):
        with_pillow = np.asarray(keras.utils.load_img(features.table.file(row)), np.float32)
        top, left = (40 - 40) // 2, (48 - 40) // 2
        square = with_pillow[top : top + 40, left : left + 40][None]
        small = keras.ops.image.resize(square, (16, 16), antialias=True)
        np.testing.assert_allclose(
            features.values[row], network.predict(small, verbose=0)[0], atol=2e-2
        )
    assert np.abs(features.values[0] - features.values[35]).max() > 0.05


def test_a_second_call_computes_nothing_and_gives_the_same_bits(photos, network, monkeypatch):
    first = compute(photos, network)
    monkeypatch.setattr(features_module, "image_batches", None)  # Not even asked.

    second = compute(photos, network)

    assert second.computed == 0
    np.testing.assert_array_equal(first.values, second.values)


def test_only_added_photos_are_computed(photos, network):
    before = by_path(compute(photos, network))
    write_images(photos, 10, {"red": (200, 40, 40)}, first_seed=500)

    after = compute(photos, network)

    assert after.computed == 10
    assert len(after.table) == 46
    assert {path: by_path(after)[path] for path in before} == before


def test_copies_are_computed_once_and_renamed_ones_not_at_all(photos, network):
    for k in range(3):
        shutil.copy(photos / "red/red-000.jpg", photos / f"blue/copy-{k}.jpg")
    first = compute(photos, network)
    assert first.computed == 36
    assert len(first.table) == 39
    values = by_path(first)
    assert values["blue/copy-1.jpg"] == values["red/red-000.jpg"]

    (photos / "blue").rename(photos / "azure")
    assert compute(photos, network).computed == 0


def test_a_changed_image_is_computed_anew(photos, network):
    before = by_path(compute(photos, network))
    draw_image((1, 2, 3), 99).save(photos / "red/red-003.jpg")

    after = compute(photos, network)

    assert after.computed == 1
    changed = [path for path, value in by_path(after).items() if value != before[path]]
    assert changed == ["red/red-003.jpg"]


OTHERS = {
    "weights": {"network": lambda: make_network(seed=1)},
    "layers": {"network": lambda: make_network(filters=5)},
    "image size": {"network": lambda: make_network(size=20), "preparation": Preparation(20, 20)},
    "preparation": {"preparation": Preparation(16, 16, version=99)},
    "kind of number": {"dtype": "float16"},
    "engine": {"engine": FLOAT32},
    "OpenVINO": {"engine": FLOAT32, "version": "2099.1"},
}


@pytest.mark.parametrize("what", OTHERS)
def test_no_stale_entry_is_met_with_another(photos, what):
    def features(network=make_network, engine=KERAS, version="2026.1", **how):
        built = network()
        named = replace(keras_engine(built), name=engine, version=version)
        return compute(photos, built, engine=named, **how)

    before = {"engine": FLOAT32} if what == "OpenVINO" else {}
    first = features(**before)

    other = features(**OTHERS[what])

    assert other.computed == 36
    if what in ("weights", "layers", "image size"):
        assert not np.array_equal(first.values, other.values)
    assert features(**before).computed == features(**OTHERS[what]).computed == 0


def test_no_stale_entry_is_met_with_another_keras(photos, network, monkeypatch):
    compute(photos, network)
    engine = keras_engine(network)
    monkeypatch.setattr(keras, "__version__", "99.0")
    assert compute(photos, network, engine=engine).computed == 36


def test_weights_that_were_trained_since_are_other_weights(photos):
    network = make_network()
    compute(photos, network)
    kernel = network.weights[0]
    kernel.assign(keras.ops.convert_to_numpy(kernel) * np.float32(1.0000001))

    assert compute(photos, network).computed == 36


def test_the_names_that_keras_counts_up_do_not_matter(photos):
    first, second = make_network(), make_network()
    assert [x.name for x in first.layers] != [x.name for x in second.layers]
    compute(photos, first)

    second.trainable = False
    assert compute(photos, second).computed == 0


def test_damaged_images_and_their_copies_become_problems(photos, network):
    whole = (photos / "red/red-000.jpg").read_bytes()
    for name in ("red/cut.jpg", "blue/copy of cut.jpg"):
        (photos / name).write_bytes(whole[: len(whole) // 2])
    (photos / "green/empty.jpg").touch()
    for _ in range(2):  # Nothing of them is kept.
        features = compute(photos, network)

        assert len(features.table) == len(features.values) == 36
        problems = {p.path: p.reason for p in features.table.problems}
        assert problems.pop("green/empty.jpg") == "empty file"
        assert set(problems) == {"red/cut.jpg", "blue/copy of cut.jpg"}
        assert len(set(problems.values())) == 1
        assert "cut short" in problems["red/cut.jpg"]
    assert features.computed == 0


def test_where_nothing_can_be_decoded_nothing_is_left(tmp_path, network):
    (tmp_path / "only/red").mkdir(parents=True)
    draw_image((9, 9, 9), 0).save(tmp_path / "whole.jpg")
    (tmp_path / "only/red/a.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])

    features = compute(tmp_path / "only", network)

    assert features.values.shape == (0, 4)
    assert features.computed == 0
    assert len(features.table.problems) == 1


def test_features_follow_their_rows_into_the_splits(photos, network):
    features = compute(photos, network).with_splits((0.5, 0.25, 0.25), seed=0)
    values = by_path(features)

    parts = [features.split(name) for name in ("train", "validation", "test")]
    assert sum(len(part.table) for part in parts) == 36
    for part in parts:
        assert len(part.table) == len(part.values) > 0
        assert all(values[path] == value for path, value in by_path(part).items())


KILLED = """
import os, sys
from dataclasses import replace
from tests.classifier.test_features import compute, make_network
from toolkit.classifier import features
from toolkit.classifier.engine import keras_engine
features.SECONDS_BETWEEN_SHARDS = features.LOSABLE_SHARE = 0
features._batch_size = lambda engine: 6
network, batches = make_network(), [0]
engine = keras_engine(network)
def killed_at_the_fourth(images):
    batches[0] += 1
    if batches[0] == 4:
        os.kill(os.getpid(), 9)
    return engine.run(images)
compute(sys.argv[1], network, engine=replace(engine, run=killed_at_the_fourth))
"""


def test_a_killed_process_keeps_its_finished_shards(photos):
    done = subprocess.run([sys.executable, "-c", KILLED, str(photos)], cwd=ROOT)
    assert done.returncode == -9

    features = compute(photos, make_network())

    assert features.computed == 36 - 3 * 6
    shutil.rmtree(cache_folder())
    again = compute(photos, make_network())
    assert again.computed == 36
    np.testing.assert_array_equal(features.values, again.values)


def gathered(batches: int, numbers: int = 1):
    """What `_gather` makes of batches of one small image each: [(rows, number), ...]."""
    images = np.zeros([1, 16, 16, 3], np.float32)
    stream = ((np.array([k]), n, images) for k in range(batches) for n in range(numbers))
    shards = features_module._gather(stream, lambda images: images)
    return [(rows.tolist(), number) for rows, number, _ in shards]


def test_shards_of_a_long_run_grow(monkeypatch):
    seconds = iter(range(0, 10**6, 10))
    monkeypatch.setattr(features_module.time, "monotonic", lambda: next(seconds))

    shards = [len(rows) for rows, _ in gathered(1000)]

    assert sum(shards) == 1000
    assert shards[0] == 2  # 15 s, at 10 s a batch.
    assert max(shards) > 20
    assert len(shards) < 120


def test_shards_are_no_larger_than_what_may_be_held_in_memory(monkeypatch):
    monkeypatch.setattr(features_module, "SHARD_BYTES", 10 * 16 * 16 * 3 * 4)

    assert [rows for rows, _ in gathered(33)] == [
        [*range(0, 11)], [*range(11, 22)], [*range(22, 33)]
    ]  # fmt: skip
    assert [len(rows) for rows, _ in gathered(4, numbers=4)] == [3, 3, 3, 2, 2, 1, 1, 1]
    assert {n for _, n in gathered(4, numbers=4)} == {0, 1, 2, 3}


def test_the_cache_says_what_it_holds(photos, network):
    import json

    compute(photos, network)

    (key,) = cache_folder().glob("features/*/key.json")
    described = json.loads(key.read_text())
    assert described["network"] == "small"
    assert described["weights"] == weights_digest(network)
    assert described["preparation"] == PREPARATION.key


def test_a_cache_that_cannot_be_written_changes_no_value(photos, network, monkeypatch, caplog):
    first = compute(photos, network)
    monkeypatch.setenv("TOOLKIT_CACHE", str(photos / "red/red-000.jpg"))

    second = compute(photos, network)

    assert second.computed == 36
    np.testing.assert_array_equal(first.values, second.values)
    assert caplog.text.count("The cache cannot be written") == 1


def test_without_a_cache_nothing_is_written_and_nothing_read(photos, network):
    compute(photos, network)
    before = sorted(cache_folder().rglob("*"))
    kept = compute(photos, network, cache_bytes=0)

    assert kept.computed == 36
    assert sorted(cache_folder().rglob("*")) == before
    shutil.rmtree(cache_folder())
    np.testing.assert_array_equal(compute(photos, network, cache_bytes=0).values, kept.values)
    assert not cache_folder().exists()


@pytest.mark.parametrize(
    ("engine", "kept"),
    [(KERAS, "float32"), (FLOAT32, "float32"), (MIXED, "float16"), (BFLOAT16, "float16")],
)
def test_features_are_kept_as_exactly_as_the_engine_computes_them(photos, network, engine, kept):
    features = compute(photos, network, engine=replace(keras_engine(network), name=engine))

    assert features.store.row.base == kept
    assert features.values.dtype == np.float32
    exact = compute(photos, network).values
    np.testing.assert_allclose(features.values, exact, rtol=2**-11 if kept == "float16" else 0)


def test_many_features_are_mapped_as_they_are_kept(photos, network, monkeypatch):
    small = compute(photos, network)
    assert not isinstance(small.values, np.memmap)
    for module in (features_module, store_module):
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 256)
    rounding = replace(keras_engine(network), name=BFLOAT16)

    large = compute(photos, network, engine=rounding)

    assert isinstance(large.values, np.memmap)
    assert large.values.dtype == np.float16
    np.testing.assert_array_equal(large.values, small.values.astype(np.float16))


def test_others_make_room_for_features_and_those_in_use_stay(photos, network):
    compute(photos, make_network(seed=1))
    compute(photos, make_network(seed=2))
    used = [entry.path for entry in entries()]
    size = entries()[0].bytes
    write_images(photos, 1, first_seed=700)

    compute(photos, make_network(seed=1), cache_bytes=2 * size)

    assert [entry.path for entry in entries()] == [used[0]]
    assert compute(photos, make_network(seed=1), cache_bytes=1).computed == 0, "it is in use"


def test_an_engine_of_large_batches_is_given_such(photos, network):
    seen = []

    def run(images):
        seen.append(len(images))
        return network.predict_on_batch(images)

    engine = replace(keras_engine(network), batch_size=33, run=run)
    assert compute(photos, network, engine=engine).computed == 36
    assert seen == [33, 33], "the second is filled up"
