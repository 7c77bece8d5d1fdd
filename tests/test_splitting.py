"""`toolkit split`: manifests that every command reads back."""

import csv
import json
from collections import Counter

import pytest

import toolkit
from tests.conftest import write_images
from toolkit.cli import main
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.splits import assign_splits
from toolkit.data.table import SPLITS, TEST, TRAIN, VALIDATION
from toolkit.errors import NotWritableError, OptionError, TooFewImagesError


@pytest.fixture
def photos(tmp_path):
    """Three classes of 20 photos, of which ten people have taken two each."""
    folder = write_images(tmp_path / "photos", 20)
    for path in folder.rglob("*.jpg"):
        number = int(path.stem.split("-")[1])
        path.rename(path.with_name(f"person{number // 2}-{number}.jpg"))
    return folder


def grouped(photos):
    return toolkit.Source(photos, group_by=r"/(person\d+)")


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_table(source):
    return scan(list_source(source), 10**8, lambda items, *_: items)


def places(table):
    return dict(zip(table.digests, zip(table.splits, table.labels, strict=True), strict=True))


def test_the_manifest_says_where_finetune_puts_each_image(photos, tmp_path):
    result = toolkit.split(photos, tmp_path / "out.csv", seed=3, quiet=True)

    assert result.paths == [tmp_path / "out.csv"] and result.root == "" and result.groups == 0
    expected = assign_splits(read_table(photos), "auto", 3)
    written = read_table(tmp_path / "out.csv")
    assert places(written) == places(expected)
    assert written.given == SPLITS and written.classes == ["blue", "green", "red"]
    counts = Counter(row["split"] for row in read(tmp_path / "out.csv"))
    assert {name: sum(result.counts[0][name].values()) for name in SPLITS} == counts
    assert toolkit.split(tmp_path / "out.csv", tmp_path / "again.csv", quiet=True).counts == (
        result.counts
    ), "what is given stays, whatever the seed"


def test_groups_stay_together_and_are_written(photos, tmp_path):
    result = toolkit.split(grouped(photos), tmp_path / "out.csv", quiet=True)

    rows = read(tmp_path / "out.csv")
    sides = {(row["group"], row["split"]) for row in rows}
    assert len(sides) == len({group for group, _ in sides}) == result.groups == 10
    assert set(list_source(tmp_path / "out.csv").files[0].group) > {"p"}


def test_folds_validate_each_image_once_and_keep_the_test_images(photos, tmp_path):
    result = toolkit.split(grouped(photos), tmp_path / "out.csv", folds=3, quiet=True)

    assert [path.name for path in result.paths] == [f"out-fold-{k}.csv" for k in (1, 2, 3)]
    folds = [read(path) for path in result.paths]
    by_path = [dict((row["path"], row["split"]) for row in fold) for fold in folds]
    tested = [{path for path, split in fold.items() if split == TEST} for fold in by_path]
    assert tested[0] and tested[0] == tested[1] == tested[2]
    for path in by_path[0].keys() - tested[0]:
        assert sorted(fold[path] for fold in by_path) == [TRAIN, TRAIN, VALIDATION]
    for fold in folds:
        groups = {(row["group"], row["split"]) for row in fold}
        assert len(groups) == len({group for group, _ in groups})
        for name in SPLITS:
            assert {row["label"] for row in fold if row["split"] == name} == {
                "red",
                "green",
                "blue",
            }


def test_more_folds_than_groups_are_refused(photos, tmp_path):
    with pytest.raises(OptionError, match=r"--folds must be at most \d: .* no more groups"):
        toolkit.split(grouped(photos), tmp_path / "x.csv", folds=11, quiet=True)
    with pytest.raises(OptionError, match="no more different images"):
        toolkit.split(photos, tmp_path / "x.csv", folds=21, quiet=True)
    with pytest.raises(OptionError, match="--folds must be a whole number from 2"):
        toolkit.split(photos, tmp_path / "x.csv", folds=1, quiet=True)
    with pytest.raises(TooFewImagesError, match="3 groups of readable images"):
        toolkit.split(toolkit.Source(photos, group_by="(e)"), tmp_path / "x.csv", quiet=True)
    assert not list(tmp_path.glob("*.csv"))


def test_a_manifest_beside_the_images_needs_no_root_and_another_says_it(photos, tmp_path):
    inside = toolkit.split(photos, photos / "inside.csv", quiet=True)
    assert read(photos / "inside.csv")[0]["path"].startswith("blue/person")
    away = toolkit.split(photos, tmp_path / "new" / "folder" / "away.csv", quiet=True)
    assert (inside.root, away.root) == ("", str(photos))
    listing = list_source(toolkit.Source(away.paths[0], root=away.root))
    assert (listing.root / listing.files[0].path).exists()


def test_no_file_is_overwritten(photos, tmp_path):
    (tmp_path / "out-fold-2.csv").write_text("mine")
    with pytest.raises(OptionError, match=r"--output must be a new file whose name ends in \.csv"):
        toolkit.split(photos, tmp_path / "out.csv", folds=2, quiet=True)
    with pytest.raises(OptionError, match="--output must be a new file"):
        toolkit.split(photos, tmp_path / "out.txt", quiet=True)
    with pytest.raises(NotWritableError, match="--output must be a folder that can be written"):
        toolkit.split(photos, tmp_path / "out-fold-2.csv" / "x.csv", quiet=True)
    assert [path.name for path in tmp_path.glob("*.csv")] == ["out-fold-2.csv"]


def test_the_command_shows_counts_and_what_to_do_next(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pattern = r"/(person\d+)"
    assert main.run(["split", "photos", "--group-by", pattern]) == 0
    printed = capsys.readouterr().out
    assert "photos-splits.csv" in printed and "10 groups, none on two sides" in printed
    assert "Next:  toolkit finetune --data photos-splits.csv" in printed
    assert [line.split()[0] for line in printed.splitlines()[1:6]] == [
        *("class", "blue", "green", "red", "all")
    ]
    assert main.run(["split", "photos-splits.csv", "--output", "b.csv", "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["paths"] == ["b.csv"] and record["groups"] == 10
    assert main.run(["split", "photos", "--split", "0.5,x"]) == 2
    assert "numbers with commas between" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_finetune_and_evaluate_read_a_manifest(photos, tmp_path, capsys):
    split = tmp_path / "out.csv"
    toolkit.split(grouped(photos), split, quiet=True)

    result = toolkit.finetune(
        split,
        "tiny",
        weights="random",
        image_size=32,
        epochs=0,
        engine="keras",
        models_dir=tmp_path / "models",
        quiet=True,
    )

    assert result.path == tmp_path / "models" / "out" / "1"
    given = {row["path"]: row["split"] for row in read(split)}
    kept = {row["path"]: row["split"] for row in read(result.path / "assets.extra" / "splits.csv")}
    assert kept == given
    images = {name: list(given.values()).count(name) for name in SPLITS}
    assert result.run["data"]["images"] == images
    # What a bundle records is a manifest, too.
    again = result.path / "assets.extra" / "splits.csv"
    source = toolkit.Source(again, root=tmp_path)
    assert toolkit.evaluate(result.path, source, quiet=True).metrics["n"] == images[TEST]
    arguments = [str(result.path), "--data", str(again), "--root", str(tmp_path), "--quiet"]
    assert main.run(["evaluate", *arguments, "--output", str(tmp_path / "report"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == images[TEST]
