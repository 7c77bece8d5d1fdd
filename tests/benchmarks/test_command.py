import importlib
import json
import os

import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.folders import linked_folder, own_cache
from benchmarks.images import read_table
from benchmarks.registry import BENCHMARKS
from benchmarks.settings import Settings
from tests.conftest import ROOT, draw_image


@pytest.fixture
def photos(tmp_path):
    """A flat folder of five photos, one of them twice, a damaged one, and what is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(5):
        draw_image((200, 40, 40), seed).save(folder / f"{seed}.jpg")
    draw_image((200, 40, 40), 0).save(folder / "again.jpg")
    (folder / "labels.csv").write_text("no image")
    whole = (folder / "0.jpg").read_bytes()
    (folder / "damaged.jpg").write_bytes(whole[:400])
    return folder


def test_a_small_benchmark_runs(photos, tmp_path, capsys):
    output = tmp_path / "results"
    arguments = ["decode", "--data", str(photos), "--image-size", "32", "--repetitions", "2"]
    assert main([*arguments, "--output", str(output)]) == 0
    record = json.loads((output / "decode.json").read_text())
    assert record["data"].startswith("5 images (JPEG, median 48 x 40 pixels")
    throughput = record["comparisons"][0]
    assert {"toolkit", "Pillow"} < set(throughput["repetitions"])
    assert all(len(values) == 2 for values in throughput["repetitions"].values())
    assert all(value > 0 for values in throughput["repetitions"].values() for value in values)
    assert record["command"].startswith("python -m benchmarks decode --data ")
    assert record["machine"]["keras"][0] == "3"
    assert "Decode" in (output / "decode.md").read_text()
    with Image.open(output / "decode.png") as image:
        image.load()
    assert "Throughput" in capsys.readouterr().out


def test_an_unknown_name_is_refused_in_a_line(capsys):
    assert main(["decoding"]) == 2
    captured = capsys.readouterr()
    message = "Error: There is no benchmark 'decoding'. Did you mean: decode, serving, scaling?"
    assert captured.err.splitlines() == [message]
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decode", "--data", "/no/such/folder"], "There is no folder /no/such/folder"),
        (["decode", "--repetitions", "0"], "'--repetitions'"),
        (["scaling", "--sizes", "10,none"], "whole numbers with commas"),
    ],
)
def test_bad_options_are_refused_in_a_line(arguments, message, capsys):
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("Error") and message in line


def test_a_folder_without_images_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert main(["decode", "--data", str(tmp_path)]) == 2
    assert "No readable image" in capsys.readouterr().err


def test_the_help_lists_all(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(each.name in printed and each.summary in printed for each in BENCHMARKS.values())


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=list(BENCHMARKS))
def test_every_benchmark_describes_itself(benchmark):
    module = importlib.import_module(benchmark.module)
    title, _, body = module.__doc__.partition("\n\n")
    assert title.endswith(".") and "*" in body
    assert callable(module.run)


def test_the_cache_is_ones_own_for_a_while(cache):
    with own_cache() as folder:
        assert os.environ["TOOLKIT_CACHE"] == str(folder) and folder.is_dir()
    assert os.environ["TOOLKIT_CACHE"] == str(cache) and not folder.exists()


def test_links_keep_the_order(photos):
    files = [photos / "3.jpg", photos / "1.jpg"]
    with linked_folder(files) as folder:
        assert [path.resolve() for path in sorted(folder.iterdir())] == files


def test_class_folders_are_read_as_such(images):
    table = read_table(Settings(print, data=str(images)), limit=7)
    assert len(table) == 7 and table.classes == ["blue", "green", "red"]
    assert set(table.labels) == {0, 1, 2}


def test_no_paths_of_one_machine():
    for path in (ROOT / "benchmarks").glob("*.py"):
        assert "/work/" not in path.read_text()
