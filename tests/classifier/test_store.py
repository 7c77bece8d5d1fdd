import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, as_plain_user
from toolkit.classifier import store as store_module
from toolkit.classifier.store import ArrayStore

WIDTH = 5
SHAPE = (WIDTH,)


def digest(k: int) -> str:
    return f"{k:032x}"


def rows(*numbers: int) -> np.ndarray:
    values = [[n + k / 8 for k in range(WIDTH)] for n in numbers]
    return np.array(values, np.float32).reshape(-1, WIDTH)


def put(store: ArrayStore, *numbers: int) -> None:
    store.add([digest(n) for n in numbers], rows(*numbers))


def assert_holds(store: ArrayStore, *numbers: int) -> None:
    digests = [digest(n) for n in numbers]
    assert store.missing(digests) == []
    values = store.read(digests)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, rows(*numbers))


def test_an_empty_store_misses_all(tmp_path):
    store = ArrayStore(tmp_path / "none", SHAPE)

    assert store.missing([digest(3), digest(1)]) == [digest(3), digest(1)]
    assert store.missing([]) == []
    assert store.read([]).shape == (0, WIDTH)


def test_what_is_added_is_read_in_the_order_and_as_often_as_asked(tmp_path):
    store = ArrayStore(tmp_path, SHAPE)
    put(store, 4, 2, 9)

    assert_holds(store, 9, 4, 2)
    assert_holds(store, 2, 2, 9, 2)
    assert_holds(store)


def test_missing_ones_are_named_once_in_their_order(tmp_path):
    store = ArrayStore(tmp_path, SHAPE)
    put(store, 4, 2)

    asked = [digest(n) for n in (9, 4, 7, 9, 2, 1, 7)]
    assert store.missing(asked) == [digest(n) for n in (9, 7, 1)]


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_many_shards_are_one_store_also_when_it_is_opened_again(tmp_path, monkeypatch, small):
    monkeypatch.setattr(store_module, "SMALL_SHARD_BYTES", small)
    store = ArrayStore(tmp_path, SHAPE)
    numbers = np.random.default_rng(0).permutation(60)
    for k in range(0, 60, 10):
        put(store, *numbers[k : k + 10])

    again = ArrayStore(tmp_path, SHAPE)
    assert len(list(tmp_path.glob("*.npy"))) == 6
    for one in (store, again):
        assert_holds(one, *range(60))
        assert one.missing([digest(60), digest(3)]) == [digest(60)]
    put(again, 60)
    assert_holds(again, 60, 3)


def test_small_shards_keep_no_file_open(tmp_path):
    store = ArrayStore(tmp_path, SHAPE)
    open_files = len(os.listdir("/proc/self/fd"))
    for k in range(20):
        put(store, k)

    again = ArrayStore(tmp_path, SHAPE)
    assert len(os.listdir("/proc/self/fd")) == open_files
    assert_holds(again, *range(20))


def test_a_row_that_two_processes_added_is_read_once(tmp_path):
    one, two = ArrayStore(tmp_path, SHAPE), ArrayStore(tmp_path, SHAPE)
    put(one, 1, 2)
    put(two, 2, 3)

    assert_holds(ArrayStore(tmp_path, SHAPE), 3, 2, 1)


DAMAGE = {
    "empty": lambda whole: b"",
    "cut in the header": lambda whole: whole[:40],
    "cut in the rows": lambda whole: whole[:-7],
    "no array": lambda whole: b"Dear diary" * 20,
    "a broken header": lambda whole: whole[:12] + b"}{" * 20 + whole[52:],
    "zeros": lambda whole: bytes(len(whole)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_computed_again_and_the_others_stay(tmp_path, caplog, damage):
    store = ArrayStore(tmp_path, SHAPE)
    put(store, 1, 2)
    (path,) = tmp_path.glob("*.npy")
    put(store, 3)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))

    with caplog.at_level(logging.WARNING, "toolkit"):
        again = ArrayStore(tmp_path, SHAPE)

    assert again.missing([digest(n) for n in (1, 2, 3)]) == [digest(1), digest(2)]
    assert_holds(again, 3)
    (message,) = caplog.messages
    assert str(path) in message and "is damaged and computed again" in message
    put(again, 1, 2)
    caplog.clear()
    assert_holds(ArrayStore(tmp_path, SHAPE), 1, 2, 3)
    assert caplog.messages == []


@pytest.mark.parametrize(
    "foreign",
    [
        np.zeros([4, WIDTH], np.float32),
        np.zeros(4, [("digest", "S32"), ("row", "<f4", (WIDTH + 1,))]),
        np.zeros([2, 2], [("digest", "S32"), ("row", "<f4", (WIDTH,))]),
        np.array(["text"]),
    ],
)
def test_arrays_of_another_kind_are_computed_again(tmp_path, caplog, foreign):
    put(ArrayStore(tmp_path, SHAPE), 1)
    np.save(tmp_path / "foreign.npy", foreign)

    store = ArrayStore(tmp_path, SHAPE)

    assert_holds(store, 1)
    assert "foreign.npy in the cache is damaged" in caplog.text


def test_archives_and_pickles_are_no_shards(tmp_path, caplog):
    np.savez(tmp_path / "archive.npz", a=np.zeros(3))
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)

    assert ArrayStore(tmp_path, SHAPE).missing([digest(1)]) == [digest(1)]
    assert caplog.text.count("is damaged and computed again") == 2


def test_what_another_process_is_writing_is_left_alone(tmp_path, caplog):
    half = tmp_path / ".writing-abc.npy"
    half.write_bytes(b"\x93NUMPY")

    assert ArrayStore(tmp_path, SHAPE).missing([digest(1)]) == [digest(1)]
    assert half.exists()
    assert caplog.messages == []


def test_a_killed_writer_leaves_nothing_that_is_read(tmp_path):
    code = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from toolkit.classifier.store import ArrayStore\n"
        "store = ArrayStore(Path(sys.argv[1]), (5,))\n"
        "store.add(['a'], np.ones([1, 5], np.float32))\n"
        "def save(file, shard): file.write(b'half'), file.flush(), os.kill(os.getpid(), 9)\n"
        "np.save = save\n"
        "store.add(['b'], np.ones([1, 5], np.float32))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)

    assert done.returncode == -9
    assert ArrayStore(tmp_path, SHAPE).missing(["a", "b"]) == ["b"]


def test_two_writers_at_once_lose_nothing(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from toolkit.classifier.store import ArrayStore\n"
        "first = int(sys.argv[2])\n"
        "for k in range(first, first + 60):\n"
        "    store = ArrayStore(Path(sys.argv[1]), (5,))\n"
        "    row = np.array([[k + j / 8 for j in range(5)]], np.float32)\n"
        "    store.add([f'{k:032x}'], row)\n"
        "    assert store.missing([f'{k:032x}']) == []\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path), str(first)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in (0, 40)  # They overlap.
    ]
    assert [process.communicate()[1] for process in running] == ["", ""]
    assert [process.returncode for process in running] == [0, 0]
    assert_holds(ArrayStore(tmp_path, SHAPE), *range(100))


def _degrades(store: ArrayStore, caplog) -> None:
    caplog.clear()
    put(store, 7)
    put(store, 8)
    assert_holds(store, 8, 7)
    (message,) = caplog.messages
    assert "The cache cannot be written (" in message and "going on without it" in message


def test_a_folder_that_may_not_be_written_degrades_with_one_message(shared_folder, caplog):
    put(ArrayStore(shared_folder, SHAPE), 1)
    (path,) = shared_folder.glob("*.npy")
    path.chmod(0)
    shared_folder.chmod(0o555)

    with as_plain_user():
        store = ArrayStore(shared_folder, SHAPE)
        assert store.missing([digest(1)]) == [digest(1)]
        assert "The cache cannot be read (" in caplog.text
        _degrades(store, caplog)

    path.chmod(0o644)  # What could not be read was not deleted.
    assert_holds(ArrayStore(shared_folder, SHAPE), 1)


def test_a_file_in_the_folders_place_degrades_with_one_message(tmp_path, caplog):
    (tmp_path / "file").touch()
    _degrades(ArrayStore(tmp_path / "file" / "features", SHAPE), caplog)


def test_a_full_disk_degrades_with_one_message_and_leaves_nothing_half_written(tmp_path):
    # A limit on the size of files fails as a full disk does, in the middle of a write.
    code = (
        "import logging, resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from toolkit.classifier.store import ArrayStore\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = ArrayStore(Path(sys.argv[1]), (1000,))\n"
        "store.add(['small'], np.ones([1, 1000], np.float32))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "names = [f'{k}' for k in range(50)]\n"
        "values = np.arange(50_000, dtype=np.float32).reshape(50, 1000)\n"
        "store.add(names, values)\n"
        "store.add(['more'], values[:1])\n"
        "assert (store.read(names) == values).all()\n"
        "assert store.missing(['more', 'small', 'none']) == ['none']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The cache cannot be written") == 1
    assert len(done.stdout.splitlines()) == 1
    assert len(list(tmp_path.iterdir())) == 1
    assert ArrayStore(tmp_path, (1000,)).missing(["small", "more", "1"]) == ["more", "1"]


def test_a_large_result_is_mapped_from_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "IN_MEMORY_BYTES", 4 * WIDTH * 10)
    store = ArrayStore(tmp_path / "store", SHAPE)
    put(store, *range(30))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(store_module.tempfile, "tempdir", str(temporary))

    small, large = store.read([digest(k) for k in range(10)]), store.read([digest(3)] * 11)

    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    np.testing.assert_array_equal(large, rows(*[3] * 11))
    assert list(temporary.iterdir()) == []  # Its space is given back with the process.


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is read there")
def test_a_large_result_does_not_fill_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "IN_MEMORY_BYTES", 0)
    store = ArrayStore(tmp_path / "store", (1 << 18,))
    values = np.arange(40 << 18, dtype=np.float32).reshape(40, -1)
    for start in range(0, 40, 4):
        store.add([digest(k) for k in range(start, start + 4)], values[start : start + 4])
    before = mapped_bytes()
    read = store.read([digest(k) for k in range(40)])

    assert mapped_bytes() - before < 8 << 20 < read.nbytes
    np.testing.assert_array_equal(read, values)


def mapped_bytes() -> int:
    """Of this process's memory, what is mapped from files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * sum(int(s.split()[1]) for s in lines if s.startswith(("RssFile:", "RssShmem:")))


def test_everything_may_be_deleted_while_it_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SMALL_SHARD_BYTES", 0)  # Mapped ones, too.
    store = ArrayStore(tmp_path / "store", SHAPE)
    put(store, 1, 2)
    for path in Path(tmp_path / "store").iterdir():
        path.unlink()
    (tmp_path / "store").rmdir()

    assert_holds(store, 2, 1)
    put(store, 3)
    assert_holds(store, 3, 1)


def test_rows_may_have_any_shape_and_be_float16(tmp_path):
    values = np.random.default_rng(0).normal(size=(6, 2, 3, 4)).astype(np.float32)
    store = ArrayStore(tmp_path, (2, 3, 4), "float16")
    store.add([digest(k) for k in range(6)], values)

    for one in (store, ArrayStore(tmp_path, (2, 3, 4), "float16")):
        read = one.read([digest(k) for k in (5, 0)])
        assert (read.dtype, read.shape) == (np.float16, (2, 2, 3, 4))
        np.testing.assert_array_equal(read, values[[5, 0]].astype(np.float16))
    assert store.row.itemsize == 2 * 2 * 3 * 4


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_goes_beyond_a_kind_of_number_becomes_its_largest(tmp_path, dtype):
    most = float(np.finfo(dtype).max)
    store = ArrayStore(tmp_path, (4,), dtype)
    store.add([digest(0)], np.array([[np.inf, -np.inf, 1e5, np.nan]], np.float32))
    assert store.read([digest(0)]).tolist()[0][:2] == [most, -most]
    assert store.read([digest(0)])[0, 2] == (65504 if dtype == "float16" else 1e5)
    assert np.isnan(store.read([digest(0)])[0, 3])


def test_another_kind_of_number_is_another_store(tmp_path, caplog):
    put(ArrayStore(tmp_path, SHAPE), 1)
    assert ArrayStore(tmp_path, SHAPE, "float16").missing([digest(1)]) == [digest(1)]
    assert "is damaged and computed again (it holds" in caplog.text


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_rows_are_taken_in_any_order_when_they_are_asked_for(tmp_path, monkeypatch, small):
    monkeypatch.setattr(store_module, "SMALL_SHARD_BYTES", small)
    store = ArrayStore(tmp_path, SHAPE)
    numbers = np.random.default_rng(0).permutation(40)
    for k in range(0, 40, 7):
        put(store, *numbers[k : k + 7])
    order = np.random.default_rng(1).permutation(40)
    stored = store.rows([digest(n) for n in order])

    assert stored.shape == SHAPE
    for _ in range(5):
        chosen = np.random.default_rng(2).integers(0, 40, 16)
        np.testing.assert_array_equal(stored.take(chosen), rows(*order[chosen]))
    assert stored.take(np.array([], np.int64)).shape == (0, WIDTH)
    put(store, 41)  # What comes later does not change what was asked for.
    np.testing.assert_array_equal(stored.take(np.arange(40)), rows(*order))


@pytest.mark.parametrize("held", [(), (1, 2)])
def test_rows_that_are_not_kept_are_never_given(tmp_path, held):
    store = ArrayStore(tmp_path, SHAPE)
    put(store, *held)
    asked = [digest(n) for n in (*held, 8, 9)]
    for ask in (store.rows, store.read):
        with pytest.raises(LookupError, match=f"lacks 2 of {len(asked)} digests: {digest(8)}"):
            ask(asked)


def test_without_a_cache_rows_stay_in_memory(tmp_path):
    put(ArrayStore(tmp_path, SHAPE), 1)
    before = sorted(tmp_path.iterdir())

    store = ArrayStore(tmp_path, SHAPE, keep=False)

    assert store.missing([digest(1)]) == [digest(1)]
    assert not store.writable
    put(store, 1, 2)
    assert_holds(store, 2, 1)
    assert sorted(tmp_path.iterdir()) == before


def test_more_shards_may_be_open_than_a_system_allows_at_first(tmp_path):
    code = (
        "import resource, sys, numpy as np\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1_000))\n"
        "from pathlib import Path\n"
        "from toolkit.classifier import store as module\n"
        "module.SMALL_SHARD_BYTES = 0\n"
        "store = module.ArrayStore(Path(sys.argv[1]), (5,))\n"
        "for k in range(200):\n"
        "    store.add([f'{k:032x}'], np.full([1, 5], k, np.float32))\n"
        "assert store.writable\n"
        "again = module.ArrayStore(Path(sys.argv[1]), (5,))\n"
        "values = again.read([f'{k:032x}' for k in range(200)])\n"
        "assert (values[:, 0] == np.arange(200)).all()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


SHARING = """
import sys
import numpy as np
from toolkit.cache import cached_folder, entries, make_room
from toolkit.classifier import store as module
module.SMALL_SHARD_BYTES = 0  # So that all are mapped.
print("ready", flush=True)
input()
for k in range(60):
    folder = cached_folder("features", {"store": k % 3})
    store = module.ArrayStore(folder, (64,))
    names = [f"{j:032x}" for j in range(20)]
    missing = store.missing(names)
    store.add(missing, np.array([[int(name, 16)] * 64 for name in missing]).reshape(-1, 64))
    held = store.rows(names)
    if sys.argv[1] == "evict":
        make_room(0)
        entries()
    assert (held.take(np.arange(20))[:, 3] == np.arange(20)).all()
"""


def test_two_processes_share_a_store_also_while_one_evicts_what_the_other_has_open(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path))
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SHARING, what],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for what in ("keep", "evict")
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:  # Only now, so that they meet.
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    # Where a folder goes just while it is written to, its rows stay in memory.
    lines = "".join(errors).splitlines()
    assert all(line.startswith("The cache cannot be written (") for line in lines), lines
