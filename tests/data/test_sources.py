import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, as_plain_user
from toolkit.data.samples import DIGITS_COUNT, digits_folder
from toolkit.data.sources import list_source
from toolkit.data.table import TEST, TRAIN, VALIDATION
from toolkit.errors import (
    DiskFullError,
    EmptySplitError,
    NoSuchSourceError,
    NotWritableError,
    OptionError,
    ToolkitError,
)


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_class_folders_are_listed_in_order_with_all_that_lies_inside_them(tmp_path):
    _touch(tmp_path, "dog/b.jpg", "dog/a.jpg", "cat/2019/may/x.jpg", "cat/notes.txt")

    listing = list_source(tmp_path)

    assert listing.classes == ["cat", "dog"]
    assert listing.files == [
        ("cat/notes.txt", "cat", "", ""),
        ("cat/2019/may/x.jpg", "cat", "", ""),
        ("dog/a.jpg", "dog", "", ""),
        ("dog/b.jpg", "dog", "", ""),
    ]
    assert listing.root == tmp_path
    assert (listing.splits, listing.problems, listing.flips) == ((), [], True)


def test_hidden_files_and_folders_are_passed_over_without_a_word(tmp_path):
    _touch(tmp_path, "cat/a.jpg", "cat/.b.jpg", "cat/.thumbs/c.jpg", ".git/d.jpg", ".DS_Store")

    listing = list_source(tmp_path)

    assert listing.files == [("cat/a.jpg", "cat", "", "")]
    assert listing.classes == ["cat"]
    assert listing.problems == []


def test_loose_files_are_reported_by_name(tmp_path):
    _touch(tmp_path, "cat/a.jpg", "dog/b.jpg", "readme.txt", "loose.jpg")

    listing = list_source(tmp_path)

    assert [(p.path, p.reason) for p in listing.problems] == [
        ("loose.jpg", "outside any class folder"),
        ("readme.txt", "outside any class folder"),
    ]
    assert len(listing.files) == 2


def test_an_empty_class_folder_is_a_class(tmp_path):
    _touch(tmp_path, "cat/a.jpg")
    (tmp_path / "dog").mkdir()

    assert list_source(tmp_path).classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("val", VALIDATION),
        ("valid", VALIDATION),
        ("validation", VALIDATION),
        ("dev", VALIDATION),
        ("Validation", VALIDATION),
        ("VAL", VALIDATION),
        ("test", TEST),
        ("Test", TEST),
    ],
)
def test_split_folders_are_known_by_their_names_in_any_case(tmp_path, name, split):
    _touch(tmp_path, "Train/cat/a.jpg", "Train/dog/b.jpg", f"{name}/cat/c.jpg")

    listing = list_source(tmp_path)

    assert set(listing.splits) == {TRAIN, split}
    assert listing.classes == ["cat", "dog"]
    assert (f"{name}/cat/c.jpg", "cat", split, "") in listing.files
    assert ("Train/dog/b.jpg", "dog", TRAIN, "") in listing.files


def test_train_alone_is_a_split_folder_but_not_among_other_classes(tmp_path):
    alone, among = tmp_path / "alone", tmp_path / "among"
    _touch(alone, "train/cat/a.jpg", "train/dog/b.jpg")
    _touch(among, "train/a.jpg", "bus/b.jpg")

    assert list_source(alone).classes == ["cat", "dog"]
    assert list_source(among).classes == ["bus", "train"]  # A classifier of vehicles.


def test_what_lies_beside_or_loose_in_split_folders_is_reported(tmp_path):
    _touch(tmp_path, "train/cat/a.jpg", "test/cat/b.jpg", "test/loose.jpg", "more/cat/c.jpg")

    listing = list_source(tmp_path)

    assert {p.path: p.reason for p in listing.problems} == {
        "more": "beside the split folders, and none of them",
        "test/loose.jpg": "outside any class folder",
    }
    assert len(listing.files) == 2


def test_classes_are_those_of_all_splits(tmp_path):
    _touch(tmp_path, "train/cat/a.jpg", "val/dog/b.jpg", "test/ape/c.jpg")

    assert list_source(tmp_path).classes == ["ape", "cat", "dog"]


def test_a_class_folder_may_be_a_link_and_a_link_inside_is_listed_to_be_reported(tmp_path):
    elsewhere = _touch(tmp_path / "elsewhere", "x.jpg")
    data = _touch(tmp_path / "data", "dog/b.jpg")
    (data / "cat").symlink_to(elsewhere)
    (data / "dog" / "more").symlink_to(elsewhere)

    assert list_source(data).files == [
        ("cat/x.jpg", "cat", "", ""),
        ("dog/b.jpg", "dog", "", ""),
        ("dog/more", "dog", "", ""),
    ]


def test_a_closed_folder_inside_a_class_is_listed_to_be_reported(shared_folder):
    _touch(shared_folder, "cat/a.jpg", "cat/closed/b.jpg")
    (shared_folder / "cat/closed").chmod(0)

    with as_plain_user():
        listing = list_source(shared_folder)

    assert listing.files == [("cat/a.jpg", "cat", "", ""), ("cat/closed", "cat", "", "")]


@pytest.mark.parametrize("closed", ["", "train"])
def test_a_closed_folder_of_classes_is_refused_by_name(shared_folder, closed):
    _touch(shared_folder, "data/train/cat/a.jpg")
    (shared_folder / "data" / closed).chmod(0)

    with as_plain_user(), pytest.raises(OptionError, match="--data must be a folder that you may"):
        list_source(shared_folder / "data")


@pytest.mark.parametrize("source", ["no/such/folder", "sample:nothing", ""])
def test_no_such_folder_is_an_error_that_names_it(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if source == "":
        source = str(_touch(tmp_path, "a-file") / "a-file")

    with pytest.raises(NoSuchSourceError) as error:
        list_source(source)

    assert isinstance(error.value, ToolkitError)
    assert source in str(error.value)
    assert "folder of class folders, a manifest (.csv, .parquet), tfds:NAME" in str(error.value)


def test_a_home_folder_and_a_relative_one_are_found(tmp_path, monkeypatch):
    _touch(tmp_path, "data/cat/a.jpg")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert list_source("~/data") == list_source("data") == list_source(tmp_path / "data")


class TestDigits:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path))

    def test_they_are_scikit_learns(self):
        from sklearn.datasets import load_digits

        listing = list_source("sample:digits")

        assert listing.classes == list("0123456789")
        assert len(listing.files) == DIGITS_COUNT == 1797
        assert not listing.flips
        digits = load_digits()
        for path, name, *_ in listing.files[::100]:
            row = int(Path(path).stem)
            with Image.open(listing.root / path) as image:
                np.testing.assert_allclose(
                    np.asarray(image) * (16 / 255), digits.images[row], atol=0.5
                )
            assert name == str(digits.target[row])

    def test_they_are_made_once(self):
        folder = digits_folder()
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

        assert digits_folder() == folder

        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
        assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".")] == []

    def test_a_half_made_folder_is_repaired(self):
        folder = digits_folder()
        for path in sorted(folder.glob("3/*.png"))[:7]:
            path.unlink()

        assert len(list(digits_folder().glob("*/*.png"))) == DIGITS_COUNT

    def test_processes_at_once_never_disturb_what_another_reads(self, tmp_path):
        # Each reads all files right after it is told that they are there.
        code = (
            "from toolkit.data.samples import digits_folder\n"
            "print(sum(len(p.read_bytes()) > 0 for p in digits_folder().glob('?/*.png')))\n"
        )
        command = [sys.executable, "-c", code]
        running = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
        ]

        assert [process.communicate()[0].strip() for process in running] == ["1797"] * 3
        assert [process.returncode for process in running] == [0] * 3

    def test_a_full_disk_is_named(self, monkeypatch):
        def no_room(*_: object, **__: object) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(Image.Image, "save", no_room)

        with pytest.raises(DiskFullError, match="the sample"):
            digits_folder()


def test_validation_and_test_without_training_are_no_two_classes(tmp_path):
    for split in ("val", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
    with pytest.raises(EmptySplitError, match="train has none"):
        list_source(tmp_path)


def test_the_sample_needs_a_cache_that_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(NotWritableError, match="TOOLKIT_CACHE"):
        digits_folder()
