import shutil

import pytest

from tests.bundles import make_bundle, rows_of
from tests.conftest import quietly, write_images
from toolkit.errors import NoTestImagesError, UnknownClassesError
from toolkit.serving.common_images import common_images
from toolkit.serving.members import load_members

SHARES = (0.3, 0.4, 0.3)


@pytest.fixture(scope="module")
def pair(images, tmp_path_factory):
    """Two classifiers of the same images, split otherwise."""
    models = tmp_path_factory.mktemp("pair")
    return [
        make_bundle(models / f"seed-{seed}", images, shares=SHARES, split_seed=seed)
        for seed in (0, 1)
    ]


def digests(bundle, split):
    return {row["digest"] for row in rows_of(bundle, split)}


def test_an_image_is_test_only_where_it_is_for_all_and_validation_where_for_some(pair):
    a, b = pair
    found = common_images(load_members(pair), None, quietly)
    validation = {*found.validation.digests}
    assert validation == digests(a, "validation") | digests(b, "validation")
    for bundle, own in zip(pair, found.validated, strict=True):
        assert {*found.validation.digests[own]} == digests(bundle, "validation")
    assert {*found.test.digests} == digests(a, "test") & digests(b, "test")
    assert 0 < len(found.test) < len(digests(a, "test"))
    record = found.record(found.test)
    trained = {*record.digests[record.splits == "train"]}
    chosen_by = {*record.digests[record.splits == "validation"]}
    assert trained == digests(a, "train") | digests(b, "train")
    assert chosen_by == (digests(a, "validation") | digests(b, "validation")) - trained
    assert all(record.file(row).exists() for row in range(len(record)))


def test_labels_and_paths_are_those_of_the_first_member(members, images):
    found = common_images(load_members([members[2], members[0]]), None, quietly)
    assert found.test.classes == ["red", "blue", "green"]
    for row, path in enumerate(found.test.paths):
        assert path.split("/")[0] == found.test.classes[found.test.labels[row]]
    assert [*found.test.paths] == [row["path"] for row in rows_of(members[2], "test")]


def test_files_that_are_gone_or_changed_are_left_out(images, tmp_path):
    data = shutil.copytree(images, tmp_path / "data")
    bundle = make_bundle(tmp_path / "one", data, shares=SHARES)
    members = load_members([bundle, make_bundle(tmp_path / "two", data, shares=SHARES)])
    gone, changed, *others = [row["path"] for row in rows_of(bundle, "test")]
    (data / gone).unlink()
    shutil.copy(data / others[0], data / changed)
    found = common_images(members, None, quietly).test
    assert [*found.paths] == others
    reasons = {problem.path: problem.reason for problem in found.problems}
    assert reasons == {
        gone: "No such file or directory",
        changed: "changed since the models were made",
    }
    for path in others:
        (data / path).unlink()
    with pytest.raises(NoTestImagesError, match=f"there is none.* lies in {data}"):
        common_images(members, None, quietly)


def test_other_data_is_taken_without_what_was_seen(members, images, tmp_path):
    data = shutil.copytree(images, tmp_path / "data")
    new = write_images(data, 1, first_seed=900)
    found = common_images(load_members(members), data, quietly)
    assert len(found.test) == len(rows_of(members[0], "test")) + 3
    assert found.test.root == new
    record = found.record(found.test)
    assert len(record) == 63
    assert all(record.file(row).exists() for row in range(len(record)))
    for split in ("train", "validation"):
        shutil.rmtree(data, ignore_errors=True)
        for row in rows_of(members[0], split):
            (data / row["path"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(images / row["path"], data / row["path"])
        with pytest.raises(NoTestImagesError, match=f"there is none of {data}"):
            common_images(load_members(members), data, quietly)
    (data / "red").rename(data / "pink")
    with pytest.raises(UnknownClassesError, match="A member does not know the class 'pink'"):
        common_images(load_members(members), data, quietly)
