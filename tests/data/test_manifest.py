import csv
import logging
import time
from pathlib import Path

import numpy as np
import pytest

from toolkit.data.manifest import list_manifest, parse_columns, write_manifest
from toolkit.data.source import Source
from toolkit.data.sources import list_source
from toolkit.data.table import TEST, TRAIN, VALIDATION, ImageTable
from toolkit.errors import ManifestError, MissingPackageError, NoSuchSourceError, OptionError

ROWS = "path,label,split,group\na/1.jpg,cat,train,ann\na/2.jpg,dog,VAL,bob\nb.jpg,cat,,\n"
FILES = [
    ("a/1.jpg", "cat", TRAIN, "ann"),
    ("a/2.jpg", "dog", VALIDATION, "bob"),
    ("b.jpg", "cat", "", ""),
]


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "photos.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("text", [ROWS, ROWS.replace("\n", "\r\n"), "\ufeff" + ROWS])
def test_a_csv_is_listed_whatever_program_has_written_it(write, text):
    path = write(text)

    listing = list_source(path)

    assert listing.root == path.parent
    assert listing.files == FILES
    assert listing.classes == ["cat", "dog"]
    assert listing.splits == (TRAIN, VALIDATION)
    assert listing.problems == [] and listing.flips


def test_a_parquet_file_is_listed_as_a_csv(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "path": ["a/1.jpg", "a/2.jpg", "b.jpg"],
        "label": ["cat", "dog", "cat"],
        "split": ["train", "val", None],
        "group": ["ann", "bob", None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "photos.parquet")

    assert list_source(tmp_path / "photos.parquet").files == FILES

    numbers = pyarrow.table({"path": ["a.jpg", "b.jpg"], "label": [3, 7]})
    parquet.write_table(numbers, tmp_path / "numbers.parquet")
    assert list_source(tmp_path / "numbers.parquet").classes == ["3", "7"]
    (tmp_path / "no.parquet").write_text(ROWS)
    with pytest.raises(ManifestError, match=r"no\.parquet: .*Parquet"):
        list_source(tmp_path / "no.parquet")


def test_without_pyarrow_a_parquet_file_is_refused_in_a_line(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'toolkit\[parquet\]'"):
        list_source(write(b"PAR1", "photos.parquet"))


def test_other_names_of_columns_can_be_given(write):
    path = write("file,species,camera\na.jpg,cat,1\nb.jpg,dog,2\n")
    expected = [("a.jpg", "cat", "", "1"), ("b.jpg", "dog", "", "2")]

    assert list_source(Source(path, "path=file, label=species, group=camera")).files == expected
    names = {"path": "file", "label": "species"}
    assert list_source(Source(path, names, group_by="camera")).files == expected
    assert parse_columns("path=file,label=species") == names
    for text in ("file", "path=", "name=file", "=file"):
        with pytest.raises(OptionError, match="--columns must be pairs as label=species"):
            parse_columns(text)


def test_a_part_of_the_path_can_be_the_group(write):
    path = write("path,label\nann/1.jpg,cat\nbob/1.jpg,dog\n")
    groups = [file.group for file in list_source(Source(path, group_by=r"^(\w+)/")).files]
    assert groups == ["ann", "bob"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has no row with a path and a label"),
        ("path,label\n", "it has no row with a path and a label"),
        ("file,label\na.jpg,cat\n", "lacks the column 'path' and has 'file', 'label'; name those"),
        ("image,class\na.jpg,cat\n", "lacks the column 'path', 'label'"),
        ("path,label\na.jpg,cat\n../b.jpg,cat\n", r"row 3 leads out of .*: '../b.jpg'; give the"),
        ("path,label\na/../../b.jpg,cat\n", "row 2 leads out of"),
        ("path,label\n/etc/passwd,cat\n", "row 2 leads out of .*--root"),
        ("path,label\n,cat\n", "row 2 has no path"),
        ("path,label,split\na.jpg,cat,learn\n", "row 2 has the split 'learn'; known are train, va"),
        ("path,label\na.jpg,cat\na.jpg,dog\n", "a.jpg is 'cat', and in row 3 'dog'; mend that row"),
        (
            "path,label,split\na.jpg,cat,train\na.jpg,cat,test\n",
            "'cat' train, and in row 3 'cat' t",
        ),
        ("path,label\ncaf\xe9.jpg,cat\n".encode("latin-1"), "is not UTF-8 text .*iconv -f latin1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_two_lines(write, text, problem):
    path = write(text)
    with pytest.raises(ManifestError, match=problem) as error:
        list_manifest(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith("A manifest has the columns path and label, and may have")


def test_the_root_may_be_another_folder_that_paths_do_not_leave(write, tmp_path):
    photos = tmp_path / "elsewhere"
    path = write(f"path,label\n{photos}/a.jpg,cat\nb/c.jpg,dog\n")

    listing = list_source(Source(path, root=photos))

    assert listing.root == photos
    assert [file.path for file in listing.files] == ["a.jpg", "b/c.jpg"]
    with pytest.raises(ManifestError, match="row 2 leads out of"):
        list_source(Source(path, root=photos / "deeper"))
    with pytest.raises(OptionError, match="given with a manifest alone"):
        list_source(Source(tmp_path, root=photos))


def test_rows_that_are_there_twice_are_taken_once_and_counted(write, caplog):
    path = write("path,label\na.jpg,cat\nb.jpg,dog\na.jpg,cat\n./a.jpg,cat\n")
    with caplog.at_level(logging.WARNING):
        listing = list_source(path)
    assert [file.path for file in listing.files] == ["a.jpg", "b.jpg"]
    assert caplog.messages == [f"2 rows of {path} are there twice, and taken once."]


def test_rows_without_a_label_are_reported_and_stop_nothing(write):
    listing = list_source(write("path,label\na.jpg,cat\nb.jpg,\nc.jpg,dog\n"))
    assert [file.path for file in listing.files] == ["a.jpg", "c.jpg"]
    assert [(problem.path, problem.reason) for problem in listing.problems] == [
        ("b.jpg", "without a label")
    ]
    assert listing.classes == ["cat", "dog"]


def test_a_missing_manifest_is_refused(tmp_path):
    with pytest.raises(NoSuchSourceError, match=r"There is no file .*none\.csv"):
        list_source(tmp_path / "none.csv")


def test_a_folder_may_be_called_like_a_manifest(tmp_path):
    (tmp_path / "photos.csv" / "cat").mkdir(parents=True)
    (tmp_path / "photos.csv" / "cat" / "a.jpg").touch()
    assert list_source(tmp_path / "photos.csv").classes == ["cat"]


def test_what_is_written_is_read_back(tmp_path):
    table = ImageTable(
        root=tmp_path,
        classes=['a "b", c', "é\n"],
        paths=np.array(["x, y/1.jpg", 'q"2.jpg', "ü.jpg"], object),
        labels=np.array([1, 0, 0], np.int32),
        digests=np.array(["1", "2", "3"], object),
        splits=np.array([TRAIN, TEST, VALIDATION], object),
        groups=np.array(["one, two", "", "three"], object),
    )
    write_manifest(table, tmp_path / "out.csv")

    files = list_source(tmp_path / "out.csv").files

    assert files == [
        ("x, y/1.jpg", "é", TRAIN, "one, two"),
        ('q"2.jpg', 'a "b", c', TEST, ""),
        ("ü.jpg", 'a "b", c', VALIDATION, "three"),
    ]


def test_a_million_rows_take_seconds(tmp_path):
    rows = 1_000_000
    with open(tmp_path / "many.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows((f"{k % 1000}/{k}.jpg", k % 1000) for k in range(rows))
    start = time.process_time()
    listing = list_source(tmp_path / "many.csv")
    assert time.process_time() - start < 40
    assert (len(listing.files), len(listing.classes)) == (rows, 1000)
