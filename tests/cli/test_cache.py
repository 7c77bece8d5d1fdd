import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.cache import KINDS, cached_folder, entries
from toolkit.cli.main import run

HEAVY = ("numpy", "keras", "tensorflow", "openvino", "jax", "sklearn", "scipy", "PIL", "h5py")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The cache folder, which is not there yet."""
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path / "cache"


def make(kind, network, size, ago):
    made = cached_folder(kind, {"network": network, "size": size})
    (made / "rows.npy").write_bytes(bytes(size - (made / "key.json").stat().st_size))
    used = time.time() - ago
    os.utime(made / "key.json", (used, used))
    return made


@pytest.fixture
def filled():
    make("features", "resnet50", 2_500_000, 3 * 86400 + 60)
    make("features", "resnet50", 1_500_000, 3600 + 60)
    make("views", "resnet50-to-conv4", 30_000_000, 125)
    make("networks", "efficientnet-lite0", 13_000, 5)


def show(capsys, *arguments):
    code = run(["cache", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_an_empty_cache_is_shown_as_one(capsys, folder):
    assert show(capsys) == (0, f"{folder}: 0 bytes\n", "")
    code, out, _ = show(capsys, "--json")
    assert (code, json.loads(out)) == (0, {"folder": str(folder), "entries": []})
    assert not folder.exists()


def test_the_table_has_a_row_for_each_kind_and_network_the_last_used_first(capsys, folder, filled):
    code, out, err = show(capsys)

    assert (code, err) == (0, "")
    rows = [line.split("  ") for line in out.splitlines()]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in rows if len(row) > 1]
    assert rows == [
        ["Kind", "Of", "Entries", "Size", "Last used"],
        ["networks", "efficientnet-lite0", "1", "13.0 kB", "just now"],
        ["views", "resnet50-to-conv4", "1", "30.0 MB", "2 minutes ago"],
        ["features", "resnet50", "2", "4.0 MB", "1 hour ago"],
    ]
    assert out.splitlines()[-1] == f"{folder}: 34.0 MB"


def test_a_foreign_folder_is_shown_by_its_name_whatever_that_is(capsys, folder):
    (folder / "features" / "[red]x[bold]").mkdir(parents=True)
    code, out, _ = show(capsys)
    assert code == 0
    assert "[red]x[bold]" in out


def test_json_has_all_of_every_entry(capsys, folder, filled):
    _, out, err = show(capsys, "--json")

    record = json.loads(out)
    assert len(out.splitlines()) == 1 and err == ""
    assert record["folder"] == str(folder)
    assert [set(each) for each in record["entries"]] == [
        {"path", "kind", "bytes", "used", "key"}
    ] * 4
    assert [each["bytes"] for each in record["entries"]] == [
        2_500_000, 1_500_000, 30_000_000, 13_000
    ]  # fmt: skip
    assert record["entries"][0]["key"] == {"network": "resnet50", "size": 2_500_000}
    assert 3 * 86400 <= time.time() - record["entries"][0]["used"] <= 3 * 86400 + 200


def test_clearing_a_kind_leaves_the_others(capsys, filled):
    code, out, err = show(capsys, "--clear", "features")
    assert (code, err) == (0, "Freed: 4.0 MB\n")
    assert "resnet50-to-conv4" in out and "4.0 MB" not in out
    assert [entry.kind for entry in entries()] == ["views", "networks"]


def test_clearing_all_leaves_nothing(capsys, folder, filled):
    code, out, err = show(capsys, "--clear", "all", "--json")
    assert (code, err) == (0, "Freed: 34.0 MB\n")
    assert json.loads(out) == {"folder": str(folder), "entries": []}
    assert entries() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--clear", "weights"],
            f"--clear must be one of all, {', '.join(KINDS)}. Received: 'weights'",
        ),
        (["--clear", ""], f"--clear must be one of all, {', '.join(KINDS)}. Received: ''"),
        (
            ["--shrink-to", "small"],
            "--shrink-to must be a size such as 500MB, 20GB or 0. Received: 'small'",
        ),
        (
            ["--shrink-to", "-1"],
            "--shrink-to must be a size such as 500MB, 20GB or 0. Received: '-1'",
        ),
    ],
)
def test_a_bad_value_deletes_nothing_and_is_told_in_a_line(capsys, filled, arguments, message):
    assert show(capsys, *arguments) == (2, "", f"Error: {message}\n")
    assert len(entries()) == 4


def test_shrinking_deletes_what_was_not_used_for_longest(capsys, filled):
    code, out, _ = show(capsys, "--shrink-to", "32MB")
    assert code == 0
    assert [entry.bytes for entry in entries()] == [1_500_000, 30_000_000, 13_000]
    assert out.splitlines()[-1].endswith("31.5 MB")
    show(capsys, "--shrink-to", "30MB")
    assert [entry.kind for entry in entries()] == ["networks"]
    show(capsys, "--shrink-to", 0)
    assert entries() == []


def test_it_is_fast_and_loads_nothing_heavy(filled):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert run_toolkit("cache").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5

    code = (
        "import sys; from toolkit.cli.main import toolkit;"
        "toolkit(['cache', '--shrink-to', '1MB', '--clear', 'views'], standalone_mode=False);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
