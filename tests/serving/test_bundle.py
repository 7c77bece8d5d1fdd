import json
import threading

import pytest

from toolkit.errors import BundleError
from toolkit.serving.bundle import FILES, find_bundle, publish, versions, write_csv, write_json


def make_bundle(folder, mark=""):
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({"mark": mark}))
    return folder


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "models" / "pets"
    folder.mkdir(parents=True)
    return folder


def test_versions_count_up_and_replace_nothing(model, tmp_path):
    for number in (1, 2, 3):
        bundle = publish(make_bundle(tmp_path / "made", mark=str(number)), model)
        assert bundle.path == model / str(number)
        assert bundle.name == f"pets/{number}"
    assert versions(model) == [1, 2, 3]
    assert [find_bundle(model / str(k)).read("run.json")["mark"] for k in (1, 2, 3)] == [*"123"]
    assert not (tmp_path / "made").exists()


def test_what_is_no_version_is_passed_over(model, tmp_path):
    make_bundle(model / "9")
    make_bundle(model / "10")
    for foreign in (".unfinished-1", "latest", "1.5", "-3", "٣", "²", "007x"):
        (model / foreign).mkdir()
    (model / "12").write_text("a file")
    assert versions(model) == [9, 10]
    assert find_bundle(model).path == model / "10", "by number, not by text"
    assert publish(make_bundle(tmp_path / "made"), model).path == model / "13"


def test_a_number_with_zeros_in_front_is_taken_as_servers_take_it(model, tmp_path):
    (model / "007").mkdir()
    assert versions(model) == []
    assert publish(make_bundle(tmp_path / "made"), model).path == model / "8"


def test_bundles_that_are_published_at_once_all_appear(model, tmp_path):
    made = [make_bundle(tmp_path / f"made-{k}", mark=str(k)) for k in range(24)]
    start = threading.Barrier(len(made), timeout=30)

    def run(folder):
        start.wait()
        publish(folder, model)

    threads = [threading.Thread(target=run, args=(folder,)) for folder in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions(model) == list(range(1, 25))
    marks = {find_bundle(model / str(k)).read("run.json")["mark"] for k in versions(model)}
    assert marks == {str(k) for k in range(24)}


def test_publishing_where_nothing_can_be_written_fails(model, tmp_path):
    made = make_bundle(tmp_path / "made")
    with pytest.raises(OSError, match="No such file"):
        publish(made, tmp_path / "nowhere")
    assert made.exists()


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(BundleError, match="there is no such folder") as caught:
        find_bundle(tmp_path / "models" / "none")
    assert str(tmp_path / "models" / "none") in str(caught.value)


def test_a_folder_without_versions_is_no_model(model):
    with pytest.raises(BundleError, match=r"saved_model\.pb is missing"):
        find_bundle(model)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model, name):
    make_bundle(model / "1")
    (model / "1" / name).unlink()
    with pytest.raises(BundleError) as caught:
        find_bundle(model)
    message = str(caught.value)
    assert f"{name} is missing" in message
    assert str(model / "1") in message, "the version that was taken"


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[]", b"3"])
def test_a_damaged_record_is_named(model, content):
    bundle = find_bundle(make_bundle(model / "1"))
    (bundle.extra / "run.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"run\.json") as caught:
        bundle.read("run.json")
    assert "\n" not in str(caught.value)


def test_names_that_are_no_text_survive_in_the_records(tmp_path):
    name = "caf\udce9 \U0001f600 \"quoted\", 'comma'\n[red]"
    write_json(tmp_path / "record.json", {name: [name]})
    assert json.loads((tmp_path / "record.json").read_text("utf-8")) == {name: [name]}
    write_csv(tmp_path / "table.csv", ["path"], [[name]])
    assert b"caf\xe9 " in (tmp_path / "table.csv").read_bytes()
