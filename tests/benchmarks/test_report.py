import json

import pytest
from PIL import Image

from benchmarks.outcome import Lines, Outcome, compare
from benchmarks.report import Report

DESCRIPTION = """Reading: ours against theirs.

- *ours*: reads.
- *theirs*: reads, too.
"""
COMPARISON = compare("Speed", "images/s", {"theirs": [10.0, 12.0], "ours": [20.0, 30.0]}, "theirs")
LINES = Lines("Time", "images", "seconds", {"ours": [(1, 2), (10, 3)], "theirs": [(1, 4)]}, "xy")


def make_report(**outcome):
    return Report(
        name="reading",
        description=DESCRIPTION,
        command="python -m benchmarks reading --limit 8",
        date="2026-11-21T01:02:03+00:00",
        machine={"CPU": "a fast one", "python": "3.11"},
        outcome=Outcome("8 images", [COMPARISON], notes=["Small."], **outcome),
    )


@pytest.mark.parametrize("outcome", [{}, {"lines": [LINES]}], ids=["bars", "lines"])
def test_three_files_are_written(tmp_path, outcome):
    make_report(**outcome).write(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "reading.json",
        "reading.md",
        "reading.png",
    ]
    with Image.open(tmp_path / "new" / "reading.png") as image:
        image.load()
        assert image.width > 500


def test_the_json_has_every_repetition_and_where_it_comes_from(tmp_path):
    make_report().write(tmp_path)
    record = json.loads((tmp_path / "reading.json").read_text())
    assert record["command"] == "python -m benchmarks reading --limit 8"
    assert record["date"].startswith("2026-11-21") and record["machine"]["CPU"] == "a fast one"
    [comparison] = record["comparisons"]
    assert comparison["repetitions"] == {"theirs": [10.0, 12.0], "ours": [20.0, 30.0]}
    assert comparison["medians"] == {"theirs": 11.0, "ours": 25.0}
    assert comparison["ratios"] == {"ours": 2.25}


def test_the_page_has_what_a_reader_needs():
    page = make_report().as_page()
    assert page.startswith("# Reading: ours against theirs\n\n- *ours*: reads.")
    assert "python -m benchmarks reading --limit 8" in page
    assert "| ours | 25 | 20 | 30 | 2 | 2.25 |" in page
    assert "(reading.png)" in page and "a fast one" in page and "Small." in page


def test_what_was_never_reached_is_told_and_drawn(tmp_path):
    comparison = compare("Time", "s", {"guide": [1.0], "ours": [None]}, "guide")
    report = Report("a", "A.", "c", "2026", {}, Outcome("", [comparison]))
    report.write(tmp_path)
    assert "| ours | never | never |" in (tmp_path / "a.md").read_text()


def test_the_table_is_printed(capsys):
    make_report().print()
    printed = capsys.readouterr().out
    assert "reading: 8 images" in printed and "Speed (ratio: to theirs)" in printed
    assert "2.25" in printed and "Small." in printed
