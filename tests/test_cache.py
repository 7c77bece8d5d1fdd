"""The cache folder as a whole: its entries, its limit, and what goes first."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import as_plain_user
from toolkit import cache
from toolkit.cache import KINDS, cached_folder, clear, entries, free_bytes, make_room, parse_size
from toolkit.errors import OptionError

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The cache folder, which is not there yet."""
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(number: int, size: int = 1000, kind: str = "features", used: float | None = None) -> Path:
    """An entry of a size on disk, its key included, that was used at a time."""
    made = cached_folder(kind, {"number": f"{number:04}"})
    (made / "rows.npy").write_bytes(bytes(size - (made / "key.json").stat().st_size))
    if used is not None:
        os.utime(made / "key.json", (used, used))
    return made


def paths() -> list[Path]:
    return [entry.path for entry in entries()]


def test_a_cache_that_is_not_there_is_empty(folder):
    assert entries() == []
    assert make_room(0) == clear() == 0
    assert not folder.exists()


def test_a_folder_for_all_that_decides_its_content(folder):
    key = {"network": "resnet50", "weights": "abc"}
    one = cached_folder("features", key)

    assert one.parent == folder / "features"
    assert json.loads((one / "key.json").read_text()) == key
    assert cached_folder("features", dict(key)) == one
    others = [
        cached_folder("views", key),
        cached_folder("features", {**key, "weights": "abd"}),
        cached_folder("features", {**key, "view": 0}),
    ]
    assert len({one, *others}) == 4


def test_where_nothing_is_to_be_kept_nothing_is_written(folder):
    key = {"network": "resnet50"}
    assert cached_folder("features", key, keep=False).parent == folder / "features"
    assert not folder.exists()
    assert cached_folder("features", key) == cached_folder("features", key, keep=False)


def test_use_refreshes_the_time():
    make(1, used=1000.0)
    make(2, used=2000.0)
    assert [entry.key["number"] for entry in entries()] == ["0001", "0002"]

    cached_folder("features", {"number": "0001"})

    assert [entry.key["number"] for entry in entries()] == ["0002", "0001"]
    assert time.time() - entries()[-1].used < 60


def test_an_entry_tells_its_kind_size_and_key():
    made = make(1, 12_345, "networks", used=1000.0)
    (made / "converted").mkdir()
    (made / "converted" / "network.bin").write_bytes(bytes(55))

    [entry] = entries()

    assert (entry.path, entry.kind, entry.bytes) == (made, "networks", 12_400)
    assert (entry.used, entry.key) == (1000.0, {"number": "0001"})


def test_the_least_recently_used_goes_first_exactly_to_the_limit():
    made = {k: make(k, 1000, used=1000.0 + k % 5) for k in range(5)}
    assert paths() == list(made.values())

    assert make_room(5000) == 0
    assert paths() == list(made.values()), "they fit exactly"
    assert make_room(4999) == 0
    assert paths() == [made[k] for k in (1, 2, 3, 4)], "a byte too many"
    assert make_room(2000) == 0
    assert paths() == [made[3], made[4]], "no more than needed"
    assert make_room(0) == 0
    assert paths() == []


def test_what_is_in_use_never_goes():
    made = [make(k, used=1000.0 + k) for k in range(3)]

    assert make_room(1000, made[0], made[2]) == 1000, "by which it is larger still"
    assert paths() == [made[0], made[2]]
    assert make_room(0, *made) == 2000


def test_a_large_young_entry_does_not_spare_the_old_ones():
    old, large, young = make(1, 100, used=1.0), make(2, 90_000, used=2.0), make(3, 100, used=3.0)
    make_room(200)
    assert paths() == [young]
    assert not old.exists() and not large.exists()


def test_samples_stay_as_a_run_may_be_reading_them(folder):
    digits = folder / "samples" / "digits" / "7"
    digits.mkdir(parents=True)
    (digits / "0.png").write_bytes(bytes(100))
    os.utime(folder / "samples" / "digits", (1.0, 1.0))
    make(1, 1000)

    assert make_room(0) == 100
    assert [(entry.kind, entry.key) for entry in entries()] == [("samples", {})]
    assert clear("samples") == 100
    assert entries() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_cleared_and_the_others_stay(kind):
    for number, each in enumerate(KINDS):
        make(number, 1000 + number, each)

    assert clear(kind) == 1000 + KINDS.index(kind)
    assert sorted(entry.kind for entry in entries()) == sorted(set(KINDS) - {kind})
    clear()
    assert entries() == []


def test_an_unknown_kind_is_not_cleared():
    make(1)
    with pytest.raises(OptionError) as error:
        clear("weights")
    known = "all, features, probes, views, networks, samples"
    assert str(error.value) == f"--clear must be one of {known}. Received: 'weights'"
    assert len(entries()) == 1


def test_what_killed_processes_left_goes_after_a_day_and_younger_files_stay(folder):
    made = make(1)
    left = {}
    for age in (DAY + 60, DAY - 600, 0):
        for where in (made, folder / "samples", folder / "networks" / "x"):
            where.mkdir(parents=True, exist_ok=True)
            left[where / f".writing-{age}.npy"] = age
            (where / f".writing-{age}.npy").touch()
            left[where / f".writing-folder-{age}"] = age
            (where / f".writing-folder-{age}" / "inside").mkdir(parents=True)
    for path, age in left.items():
        os.utime(path, (time.time() - age, time.time() - age))

    make_room(10**9)

    assert {path for path in left if path.exists()} == {p for p, age in left.items() if age < DAY}
    assert (made / "rows.npy").exists()


def test_an_old_file_elsewhere_is_nobodys(folder):
    (folder / "mine").mkdir(parents=True)
    mine = folder / "mine" / ".writing-letters"
    mine.touch()
    os.utime(mine, (1.0, 1.0))
    make_room(0)
    clear()
    assert mine.exists()


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b'"text"', b"{", b"null"])
def test_a_damaged_key_is_written_again_and_hides_no_entry(content):
    made = make(1)
    (made / "key.json").write_bytes(content)
    assert [(entry.path, entry.key) for entry in entries()] == [(made, {})]

    cached_folder("features", {"number": "0001"})

    [entry] = entries()
    assert entry.key == {"number": "0001"}


def test_a_folder_without_a_key_is_an_entry_of_the_time_it_was_changed(folder):
    (folder / "views" / "foreign").mkdir(parents=True)
    os.utime(folder / "views" / "foreign", (5.0, 5.0))
    (folder / "views" / "file").write_text("no folder")
    [entry] = entries()
    assert (entry.key, entry.used, entry.bytes) == ({}, 5.0, 0)


def test_what_is_being_made_is_no_entry(folder):
    (folder / "samples" / ".writing-abc" / "digits").mkdir(parents=True)
    assert entries() == []
    assert clear() == 0
    assert (folder / "samples" / ".writing-abc" / "digits").exists()


def test_a_file_in_the_folders_place_is_an_empty_cache(folder):
    folder.write_text("a file")
    assert entries() == []
    assert make_room(0) == clear() == 0
    assert cached_folder("features", {}).parent == folder / "features"
    assert free_bytes(folder / "features" / "x") > 0
    assert folder.read_text() == "a file"


def test_a_folder_that_may_not_be_read_or_changed_is_borne(shared_folder, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(shared_folder / "cache"))
    made = make(1)
    views = make(2, kind="views")
    (shared_folder / "cache" / "views").chmod(0)
    with as_plain_user():
        assert paths() == [made]
        assert make_room(0) == 1000, "nothing could be deleted"
        assert clear() == 0, "nothing was freed"
        assert cached_folder("features", {"number": "0001"}) == made
    (shared_folder / "cache" / "views").chmod(0o755)
    assert sorted(paths()) == sorted([made, views])
    assert make_room(0) == 0


def test_what_another_process_deletes_meanwhile_is_borne(folder):
    """Entries are listed, cleared and used while others come and go."""
    over = threading.Event()
    errors = []

    def come_and_go():
        k = 0
        while not over.is_set():
            k += 1
            made = make(k % 7)
            (made / "deeper").mkdir(exist_ok=True)
            (made / "deeper" / ".writing-x").touch()
            shutil.rmtree(made, ignore_errors=True)

    def run():
        try:
            come_and_go()
        except FileNotFoundError:  # What it was just writing was deleted: its own matter.
            if not over.is_set():
                run()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for _ in range(300):
            entries()
            make_room(0)
            cached_folder("features", {"number": "0003"})
    finally:
        over.set()
        thread.join()
    assert errors == []


def test_free_bytes_are_those_of_the_disk(tmp_path):
    here, deeper = free_bytes(tmp_path), free_bytes(tmp_path / "not" / "there" / "yet")
    assert here == pytest.approx(deeper, rel=0.05)
    assert here == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        ("0", 0),
        (20_000_000_000, 20_000_000_000),
        ("500MB", 500_000_000),
        ("20GB", 20_000_000_000),
        ("20 gb", 20_000_000_000),
        (" 1.5TB ", 1_500_000_000_000),
        ("3kB", 3000),
        ("17B", 17),
        ("0.1GB", 100_000_000),
        (1.0, 1),
    ],
)
def test_a_size_is_a_number_of_bytes(text, size):
    assert parse_size("--cache-size", text) == size


@pytest.mark.parametrize(
    "text",
    ["", "much", "GB", "-1", "-5GB", "20 GiB", "1e9", "5 GB 3", "1,5GB", "nan", None, "9" * 400],
)
def test_anything_else_is_no_size(text):
    with pytest.raises(OptionError) as error:
        parse_size("--cache-size", text)
    assert str(error.value) == (
        f"--cache-size must be a size such as 500MB, 20GB or 0. Received: {text!r}"
    )


def test_the_default_size_is_one():
    assert parse_size("--cache-size", cache.DEFAULT_SIZE) == 20 * 10**9
