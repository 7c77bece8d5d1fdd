"""TensorFlow data sets as sources: real ones, prepared on disk by the test."""

import dataclasses
import itertools
import logging
import socket

import numpy as np
import pytest
import tensorflow_datasets

import toolkit
from toolkit.data.batches import image_batches
from toolkit.data.decoding_problems import decoding_problems
from toolkit.data.parts import is_part, read_image
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.source import Source
from toolkit.data.sources import list_source
from toolkit.data.table import TEST, TRAIN, VALIDATION
from toolkit.errors import DatasetError, MissingPackageError, OptionError, UnknownNameError

features = tensorflow_datasets.features
COLOURS = {"blue": (30, 60, 220), "green": (40, 200, 50), "red": (220, 40, 40)}
SIDE = 12


def draw(count, seed, label=lambda number: number % 3):
    random = np.random.default_rng(seed)
    for number in range(count):
        colour = np.array(list(COLOURS.values())[number % 3])
        pixels = np.clip(colour + random.normal(0, 40, (SIDE, SIDE, 3)), 0, 255)
        yield number, {"image": pixels.astype(np.uint8), "label": label(number), "id": number}


def prepare(folder, name, splits, kinds=None, file_format="tfrecord"):
    kinds = kinds or {
        "image": features.Image(shape=(None, None, 3)),
        "label": features.ClassLabel(names=list(COLOURS)),
        "id": features.Scalar(np.int64),
    }
    tensorflow_datasets.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        data_dir=folder,
        features=features.FeaturesDict(kinds),
        split_datasets={name: list(examples) for name, examples in splits.items()},
        file_format=file_format,
        disable_shuffling=True,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    splits = {"train": draw(45, 0), "test": draw(12, 1), "extra": draw(3, 2)}
    prepare(folder, "colours", splits)
    return folder


def listed(name, folder):
    return list_source(Source(f"tfds:{name}", data_dir=folder))


def read_table(name, folder):
    return scan(listed(name, folder), 10**8, lambda items, *_: items)


def pixels_of(table):
    batches = image_batches(table, Preparation(SIDE, SIDE), 7)
    rows, images = zip(*batches, strict=True)
    order = np.argsort(np.concatenate(rows))
    return np.concatenate(images)[order]


def test_images_labels_and_splits_are_the_data_sets_own(data_dir, caplog):
    with caplog.at_level(logging.WARNING):
        table = read_table("colours", data_dir)

    assert table.given == (TRAIN, TEST) and table.classes == sorted(COLOURS)
    assert (table.splits == TRAIN).sum() == 45 and (table.splits == TEST).sum() == 12
    assert caplog.messages == ["Of tfds:colours, train, test is read; passed over: extra."]
    expected = [example for _, example in itertools.chain(draw(45, 0), draw(12, 1))]
    np.testing.assert_array_equal(pixels_of(table), [each["image"] for each in expected])
    assert [table.classes[label] for label in table.labels] == [
        list(COLOURS)[each["label"]] for each in expected
    ]
    assert len(set(table.digests)) == 57 and not table.problems


def test_images_are_read_where_they_lie(data_dir):
    table = read_table("colours", data_dir)
    assert all(map(is_part, table.paths))
    [file] = {path.rpartition("@")[0] for path in table.split(TEST).paths}
    assert (data_dir / "colours" / "1.0.0" / file).is_file()
    assert read_image(table.file(0)).startswith(b"\x89PNG")


def test_every_file_format_gives_the_same(tmp_path, data_dir):
    prepare(tmp_path, "colours", {"train": draw(45, 0)}, file_format="array_record")
    records, table = read_table("colours", tmp_path), read_table("colours:train", data_dir)
    np.testing.assert_array_equal(records.digests, table.digests)
    np.testing.assert_array_equal(records.labels, table.labels)
    np.testing.assert_array_equal(pixels_of(records), pixels_of(table))


def test_splits_can_be_chosen_cut_and_renamed(data_dir):
    def counts(splits):
        files = listed(f"colours:{splits}", data_dir).files
        return {s: sum(f.split == s for f in files) for s in {f.split for f in files}}

    assert counts("train") == {TRAIN: 45}
    assert counts("train[:20%],test[3:5]") == {TRAIN: 9, TEST: 2}
    assert counts("train=train[:30],val=train[30:],test") == {TRAIN: 30, VALIDATION: 15, TEST: 12}
    assert counts("extra") == {"": 3}
    assert counts("train+extra") == {TRAIN: 48}
    first, rest = (listed(f"colours:train[{cut}]", data_dir).files for cut in (":7", "7:"))
    assert [f.path for f in first + rest] == [
        f.path for f in listed("colours:train", data_dir).files
    ]


def test_without_a_known_split_all_are_split_anew(tmp_path):
    prepare(tmp_path, "whole", {"full": draw(9, 0)})
    listing = listed("whole", tmp_path)
    assert listing.splits == () and len(listing.files) == 9


def test_images_without_a_label_are_reported(tmp_path):
    hidden = draw(6, 1, label=lambda number: -1 if number < 2 else number % 3)
    prepare(tmp_path, "some", {"train": draw(9, 0), "test": hidden})
    listing = listed("some", tmp_path)
    assert [problem.reason for problem in listing.problems] == ["without a label"] * 2
    prepare(tmp_path, "none", {"train": draw(9, 0), "test": draw(4, 1, label=lambda number: -1)})
    assert listed("none", tmp_path).splits == (TRAIN,), "a test split without labels is none"


def test_a_damaged_image_is_named_and_stops_nothing(tmp_path, data_dir):
    table = read_table("colours:train", data_dir)
    file, _, place = table.paths[4].rpartition("@")
    start, _, length = place.partition("+")
    damaged = data_dir.joinpath("colours", "1.0.0", file).read_bytes()
    middle = int(start) + int(length) // 2
    (tmp_path / file).write_bytes(damaged[:middle] + b"\0" * 40 + damaged[middle + 40 :])

    table = dataclasses.replace(table, root=tmp_path)
    batches = image_batches(table, Preparation(SIDE, SIDE), 7)
    rows = np.concatenate([rows for rows, _ in batches])
    assert set(range(45)) - set(rows) == {4}
    [problem] = decoding_problems(table, [4], Preparation(SIDE, SIDE))
    assert problem.path == table.paths[4] and problem.reason.startswith("damaged")


def test_damaged_files_are_refused(tmp_path):
    prepare(tmp_path, "cut", {"train": draw(9, 0)})
    [file] = (tmp_path / "cut" / "1.0.0").glob("*.tfrecord*")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"cut-train.*cannot be read .*; prepare it again"):
        listed("cut", tmp_path)


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("colour", UnknownNameError, "no TensorFlow data set 'colour'. Did you mean: colours"),
        ("cifar1O", UnknownNameError, "Did you mean: cifar10"),
        ("colours:trian", UnknownNameError, "There is no split .*'trian'. Did you mean: train"),
        ("colours:train[", DatasetError, r"Error parsing split 'train\['"),
        ("colours:learn=train", DatasetError, "'learn=train' is no split: .* USE=NAME, used as"),
        ("colours:train,train[:3]", DatasetError, "overlap in .*; give each slice once"),
        ("", DatasetError, "it names no data set; as tfds:beans or tfds:cifar10:train"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(data_dir, name, error, match):
    with pytest.raises(error, match=match) as caught:
        listed(name, data_dir)
    assert "\n" not in str(caught.value)


def test_data_without_one_image_and_one_label_is_refused(tmp_path):
    text = {"text": features.Text(), "label": features.ClassLabel(num_classes=2)}
    prepare(tmp_path, "text", {"train": [(0, {"text": "a", "label": 0})]}, text)
    with pytest.raises(DatasetError, match=r"no images and 1 class labels .*text \(Text\)"):
        listed("text", tmp_path)
    unlabelled = {"image": features.Image(shape=(SIDE, SIDE, 3))}
    images = [(k, {"image": example["image"]}) for k, example in draw(2, 0)]
    prepare(tmp_path, "unlabelled", {"train": images}, unlabelled)
    with pytest.raises(DatasetError, match="1 images and no class labels"):
        listed("unlabelled", tmp_path)


def test_what_is_not_there_and_cannot_be_fetched_is_refused_at_once(tmp_path, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DatasetError, match=r"not on this machine, and .* cannot be reached; prep"):
        listed("cifar10", tmp_path)


def test_options_that_do_not_fit_are_refused(data_dir, tmp_path):
    with pytest.raises(OptionError, match="--data-dir must be given with tfds:NAME alone"):
        list_source(Source(tmp_path, data_dir=data_dir))
    with pytest.raises(OptionError, match="--columns and --root must be given with a manifest"):
        list_source(Source("tfds:colours", root=tmp_path, data_dir=data_dir))


def test_without_the_library_a_line_says_what_to_install(monkeypatch, data_dir):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_datasets", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'toolkit\[tfds\]'"):
        listed("colours", data_dir)


@pytest.mark.usefixtures("tiny")
def test_every_command_reads_it_and_its_manifest(data_dir, tmp_path, monkeypatch):
    source = Source("tfds:colours", data_dir=data_dir)
    result = toolkit.finetune(
        source,
        "tiny",
        weights="random",
        image_size=32,
        epochs=0,
        engine="keras",
        models_dir=tmp_path / "m",
        quiet=True,
    )
    assert result.path == tmp_path / "m" / "colours" / "1"
    images = result.run["data"]["images"]
    assert images[TEST] == 12 and images[TRAIN] + images[VALIDATION] == 45
    assert toolkit.evaluate(result.path, source, quiet=True).metrics["n"] == 12
    split = toolkit.split(source, tmp_path / "colours.csv", quiet=True)
    again = Source(split.paths[0], root=split.root)
    assert toolkit.evaluate(result.path, again, quiet=True).metrics["n"] == 12
