"""Activations of augmented views: what is kept, when it is met again, and what makes room."""

import shutil
from dataclasses import replace

import albumentations
import keras
import numpy as np
import pytest

from tests.conftest import draw_image, quietly, write_images
from tests.networks import make_lower
from toolkit.cache import cache_folder, entries
from toolkit.classifier import features as features_module
from toolkit.classifier.engine import BFLOAT16, keras_engine
from toolkit.classifier.features import NoRoomError, compute_views
from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.views import Views, content_numbers

PREPARATION = Preparation(16, 16)
COUNT = 12
ROW = 2 * 7 * 7 * 4
PLENTY = 10**9


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(features_module, "SPARED_BYTES", 0)


@pytest.fixture
def photos(tmp_path):
    return write_images(tmp_path / "photos", COUNT // 3)


@pytest.fixture(scope="module")
def network():
    return make_lower()


def scanned(photos):
    return scan(list_source(photos), 10**8, quietly)


class Ran:
    """Counts the images that an engine has run."""

    def __init__(self, network, stop_at=None):
        self.images = 0
        self._engine = keras_engine(network)
        self._stop_at = stop_at
        self.engine = replace(self._engine, run=self)

    def __call__(self, images):
        if self.images == self._stop_at:
            raise KeyboardInterrupt
        self.images += int((images != 0).any((1, 2, 3)).sum())
        return self._engine.run(images)


def compute(table, network, views=None, engine=None, preparation=PREPARATION, room=PLENTY):
    views = views or Views("light", 0, 3)
    engine = engine or keras_engine(network)
    return compute_views(table, network, preparation, engine, views, quietly, room)


def values(stores, table):
    return np.stack([store.read(list(table.digests)) for store in stores])


def test_a_view_is_what_the_network_gives_for_its_draw(photos, network):
    table, views = scanned(photos), Views("light", 7, 2)
    [(rows, images)] = image_batches(table, PREPARATION, COUNT)

    stores = compute(table, network, views)

    assert rows.tolist() == list(range(COUNT))
    for number, store in enumerate(stores):
        kept = store.read(list(table.digests))
        assert kept.shape == (COUNT, 7, 7, 4) and kept.dtype == np.float16
        drawn = views.draw(images, content_numbers(table), number)
        np.testing.assert_allclose(kept, network.predict_on_batch(drawn), rtol=2**-10, atol=1e-5)
    one, two = values(stores, table)
    assert not np.array_equal(one, two)


def test_a_second_call_computes_nothing(photos, network, monkeypatch):
    table = scanned(photos)
    first = values(compute(table, network), table)
    monkeypatch.setattr(features_module, "view_batches", None)  # Not even asked.

    np.testing.assert_array_equal(values(compute(table, network), table), first)


def test_only_added_images_and_added_views_are_computed(photos, network):
    table = scanned(photos)
    before = values(compute(table, network, Views("light", 0, 2)), table)

    longer = Ran(network)
    stores = compute(table, network, Views("light", 0, 3), longer.engine)
    assert longer.images == COUNT, "one more view of each"
    np.testing.assert_array_equal(values(stores[:2], table), before)

    write_images(photos, 2, {"red": (200, 40, 40)}, first_seed=500)
    more = Ran(network)
    stores = compute(scanned(photos), network, Views("light", 0, 3), more.engine)
    assert more.images == 3 * 2
    np.testing.assert_array_equal(values(stores[:2], table), before)


def test_a_view_does_not_depend_on_the_tables_order_nor_on_the_batch(photos, network, monkeypatch):
    table = scanned(photos)
    expected = values(compute(table, network), table)
    shutil.rmtree(cache_folder())
    monkeypatch.setattr(features_module, "_batch_size", lambda engine: 5)
    shuffled = table.rows(np.random.default_rng(0).permutation(COUNT))

    np.testing.assert_array_equal(values(compute(shuffled, network), table), expected)


def test_copies_are_computed_once(photos, network):
    shutil.copy(photos / "red/red-000.jpg", photos / "blue/copy.jpg")
    table, ran = scanned(photos), Ran(network)

    stores = compute(table, network, engine=ran.engine)

    assert ran.images == 3 * COUNT
    paths = list(table.paths)
    kept = values(stores, table)
    one, two = paths.index("red/red-000.jpg"), paths.index("blue/copy.jpg")
    np.testing.assert_array_equal(kept[:, one], kept[:, two])


def test_an_interrupted_pass_is_taken_up_and_gives_the_bits_of_an_uninterrupted_one(
    photos, network, monkeypatch
):
    table = scanned(photos)
    expected = values(compute(table, network), table)
    shutil.rmtree(cache_folder())
    monkeypatch.setattr(features_module, "SECONDS_BETWEEN_SHARDS", 0)
    monkeypatch.setattr(features_module, "LOSABLE_SHARE", 0)
    monkeypatch.setattr(features_module, "_batch_size", lambda engine: 4)

    # Two views of the second batch are kept by then, the third is not.
    with pytest.raises(KeyboardInterrupt):
        compute(table, network, engine=Ran(network, stop_at=5 * 4).engine)
    rest = Ran(network)
    resumed = values(compute(table, network, engine=rest.engine), table)

    assert rest.images == 3 * (COUNT - 4)
    np.testing.assert_array_equal(resumed, expected)


OTHERS = {
    "weights": {"network": lambda: make_lower(seed=1)},
    "preparation": {"preparation": Preparation(16, 16, version=99)},
    "engine": {"engine": BFLOAT16},
    "version of the engine": {"version": "2099.1"},
    "policy": {"views": Views("light-no-flip", 0, 3)},
    "seed": {"views": Views("light", 1, 3)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_no_stale_view_is_met_with_another(photos, what):
    table = scanned(photos)

    def ran(network=make_lower, engine="keras", version="1", **how):
        built = network()
        run = Ran(built)
        named = replace(run.engine, name=engine, version=version)
        return values(compute(table, built, engine=named, **how), table), run.images

    first, computed = ran()
    assert computed == 3 * COUNT

    other, computed = ran(**OTHERS[what])

    assert computed == 3 * COUNT
    if what in ("weights", "policy", "seed"):
        assert not np.array_equal(first, other)
    assert ran()[1] == ran(**OTHERS[what])[1] == 0


@pytest.mark.parametrize("library", [keras, albumentations])
def test_no_stale_view_is_met_with_another_version_of(photos, network, monkeypatch, library):
    table, engine = scanned(photos), keras_engine(network)
    compute(table, network, engine=engine)
    monkeypatch.setattr(library, "__version__", "99.0")
    other = Ran(network)
    compute(table, network, engine=replace(engine, run=other))
    assert other.images == 3 * COUNT


def test_no_stale_view_is_met_of_an_image_that_has_changed(photos, network):
    compute(scanned(photos), network)
    draw_image((1, 2, 3), 99).save(photos / "red/red-003.jpg")
    changed = Ran(network)
    compute(scanned(photos), network, engine=changed.engine)
    assert changed.images == 3


def test_no_two_views_share_a_place(photos, network):
    table = scanned(photos)
    stores = compute(table, network, Views("light", 0, 4))
    assert len({store.folder for store in stores}) == 4
    kept = values(stores, table)
    for row in range(COUNT):
        assert len({view.tobytes() for view in kept[:, row]}) >= 3


def test_without_augmentation_there_is_one_view_whatever_the_seed(photos, network):
    table = scanned(photos)
    [first] = compute(table, network, Views("none", 0, 1))
    again = Ran(network)
    [second] = compute(table, network, Views("none", 5, 1), again.engine)
    assert (again.images, first.folder) == (0, second.folder)
    [(_, images)] = image_batches(table, PREPARATION, COUNT)
    np.testing.assert_allclose(
        first.read(list(table.digests)), network.predict_on_batch(images), rtol=2**-10, atol=1e-5
    )


def test_a_damaged_shard_is_computed_again_with_a_message(photos, network, caplog):
    table = scanned(photos)
    expected = values(compute(table, network), table)
    damaged, *_ = sorted(cache_folder().glob("views/*/*.npy"))
    damaged.write_bytes(damaged.read_bytes()[:-50])
    again = Ran(network)

    stores = compute(table, network, engine=again.engine)

    assert again.images == COUNT, "of that view alone"
    np.testing.assert_array_equal(values(stores, table), expected)
    (message,) = caplog.messages
    assert f"{damaged} in the cache is damaged and computed again" in message


def test_others_make_room_for_views_the_longest_unused_first(photos, network):
    table = scanned(photos)
    for seed in (1, 2):
        compute(table, network, Views("light", seed, 1))
    one, two = (entry.path for entry in entries())
    size = entries()[0].bytes

    compute(table, network, Views("light", 3, 2), room=3 * size)

    held = [entry.path for entry in entries()]
    assert one not in held and two in held and len(held) == 3


def test_views_that_the_disk_has_no_room_for_are_not_begun(photos, network, monkeypatch):
    monkeypatch.setattr(features_module, "free_bytes", lambda folder: 1_000_000_000)
    monkeypatch.setattr(features_module, "SPARED_BYTES", 1_000_000_000 - 3 * COUNT * ROW + 1)
    ran = Ran(network)
    with pytest.raises(NoRoomError) as error:
        compute(scanned(photos), network, engine=ran.engine)
    assert str(error.value) == "views take 0.0 GB, the disk has 1.0 GB"
    assert ran.images == 0
    monkeypatch.setattr(features_module, "SPARED_BYTES", 1_000_000_000 - 3 * COUNT * ROW)
    compute(scanned(photos), network)


def test_a_disk_that_fills_meanwhile_leaves_no_half_made_views(
    photos, network, monkeypatch, caplog
):
    compute(scanned(photos), network, Views("light", 9, 1))
    before = sorted(path for path in cache_folder().rglob("*") if path.is_file())
    monkeypatch.setattr(features_module, "SHARD_BYTES", 0)
    save, saved = np.save, []

    def fail(file, array):
        saved.append(array)
        if len(saved) > 1:
            raise OSError(28, "No space left on device")
        save(file, array)

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(NoRoomError, match="the cache cannot be written"):
        compute(scanned(photos), network)

    assert sorted(path for path in cache_folder().rglob("*") if path.is_file()) == before
    assert caplog.text.count("The cache cannot be written") == 1


def test_an_image_that_vanishes_meanwhile_is_not_replaced_by_another(photos, network):
    table = scanned(photos)
    (photos / "red/red-003.jpg").unlink()
    stores = compute(table, network)
    with pytest.raises(LookupError, match="lacks 1 of 12 digests"):
        stores[0].rows(list(table.digests))


def test_views_that_need_no_disk_are_held_in_memory(photos, network, monkeypatch):
    table, views = scanned(photos), Views("light", 9, 2)
    kept = compute(table, network, views)
    monkeypatch.setattr(features_module, "SPARED_BYTES", 10**18)

    def held(views):
        engine = keras_engine(network)
        return compute_views(table, network, PREPARATION, engine, views, quietly, 0, on_disk=False)

    before = sorted(cache_folder().rglob("*"))
    for one, other in zip(kept, held(views), strict=True):
        digests = list(table.digests)
        np.testing.assert_array_equal(one.read(digests), other.read(digests))
    assert sorted(cache_folder().rglob("*")) == before
    with pytest.raises(NoRoomError):
        compute(table, network, replace(views, seed=8))
