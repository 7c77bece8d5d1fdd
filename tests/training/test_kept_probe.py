"""A probe is fitted once, and never taken for one that was fitted on anything else."""

from dataclasses import astuple

import numpy as np
import pytest

from tests.training.test_probe import make_data
from toolkit.cache import entries
from toolkit.training import kept_probe
from toolkit.training.kept_probe import fit_probe_once
from toolkit.training.probe import fit_probe


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fitted(monkeypatch):
    """What was really fitted, one after another."""
    probes = []
    monkeypatch.setattr(
        kept_probe, "fit_probe", lambda *a, **k: probes.append(fit_probe(*a, **k)) or probes[-1]
    )
    return probes


@pytest.fixture(scope="module")
def data():
    return *make_data(60, 5, 3), *make_data(40, 5, 3, seed=1)


def fit(data, weights=None, **options):
    return fit_probe_once(*data, 3, weights, network="net", **options)


def same(one, two):
    values = zip(astuple(one), astuple(two), strict=True)
    return all(np.array_equal(a, b) and type(a) is type(b) for a, b in values)


def test_the_second_time_it_comes_out_of_the_cache_as_it_was(data, fitted):
    first, again = fit(data), fit(data)
    assert len(fitted) == 1
    plain = fit_probe(*data, 3)
    assert same(first, plain)
    assert same(again, plain)
    assert again.kernel.dtype == again.bias.dtype == np.float32
    (entry,) = entries()
    assert (entry.kind, entry.key["network"]) == ("probes", "net")


def test_whatever_changes_it_is_fitted_anew(data, fitted, monkeypatch):
    features, labels, held_out, held_out_labels = data
    nudged, other_labels = features.copy(), labels.copy()
    nudged[7, 3] = np.nextafter(nudged[7, 3], np.float32(np.inf))
    other_labels[0] = (labels[0] + 1) % 3
    weights = np.array([0.5, 1.0, 1.5], np.float32)
    fit(data)
    fit((nudged, *data[1:]))
    fit((features, other_labels, *data[2:]))
    fit((features[:-1], labels[:-1], *data[2:]))
    fit((*data[:2], held_out[::-1], held_out_labels))
    fit((*data[:3], held_out_labels[::-1]))
    fit(data, weights)
    fit(data, weights[::-1])
    fit((features.astype(np.float16), *data[1:]))
    assert len(fitted) == 9
    assert same(fit(data, weights), fitted[6])
    assert len(fitted) == 9
    monkeypatch.setattr(kept_probe, "_RULE", "another")
    fit(data)
    assert len(fitted) == 10


def test_a_damaged_file_is_replaced_with_a_message(data, fitted, cache, caplog):
    fit(data)
    (file,) = cache.rglob("*.npy")
    file.write_bytes(file.read_bytes()[:50])
    assert same(fit(data), fitted[0])
    assert len(fitted) == 2
    assert "damaged and computed again" in caplog.text
    assert same(fit(data), fitted[0])
    assert len(fitted) == 2


def test_without_a_cache_nothing_is_written(data, fitted, cache):
    assert same(fit(data, keep=False), fit(data, keep=False))
    assert len(fitted) == 2
    assert not cache.exists()


def test_rows_that_are_mapped_from_disk_are_the_same_rows(data, fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_probe, "_CHUNK", 7)
    np.save(tmp_path / "rows.npy", data[0])
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert same(fit(data), fit((mapped, *data[1:])))
    assert len(fitted) == 1
