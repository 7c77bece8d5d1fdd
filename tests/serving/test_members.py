import shutil

import numpy as np
import pytest

from tests.bundles import make_bundle
from tests.conftest import quietly, write_images
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.errors import MemberError
from toolkit.progress import Reporter
from toolkit.serving.members import load_members, predict_members, shared_preparations

QUIET = Reporter(quiet=True)


def test_classes_are_matched_by_name(members, images):
    table = scan(list_source(images), 10**6, quietly).rows(np.arange(5))
    loaded = load_members([members[2], members[0]])
    _, found = predict_members(loaded, table, QUIET)
    files = [table.file(row) for row in range(5)]
    for member, probabilities in zip(loaded, found, strict=True):
        predictions = member.classifier.predict(files)
        own = [dict(prediction.top(3)) for prediction in predictions]
        wanted = [[row[name] for name in ("red", "blue", "green")] for row in own]
        np.testing.assert_array_equal(probabilities, np.float32(wanted))


def test_an_image_that_cannot_be_decoded_is_left_out_for_all(members, tmp_path):
    data = write_images(tmp_path, 2)
    cut = data / "red" / "red-001.jpg"
    cut.write_bytes(cut.read_bytes()[:900])
    table = scan(list_source(data), 10**6, quietly)
    assert len(table) == 6
    table, found = predict_members(load_members(members), table, QUIET)
    assert found.shape == (3, 5, 3)
    assert [problem.path for problem in table.problems] == ["red/red-001.jpg"]
    assert "red/red-001.jpg" not in table.paths
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)


def test_no_images_are_no_predictions(members, images):
    table = scan(list_source(images), 10**6, quietly).rows(np.arange(0))
    table, found = predict_members(load_members(members), table, QUIET)
    assert found.shape == (3, 0, 3)
    assert len(table) == 0


def test_members_of_one_name_are_told_apart(members, tmp_path):
    copy = shutil.copytree(members[0], tmp_path / "a" / "1")
    names = [member.name for member in load_members([members[0], copy, members[1]])]
    assert names == [str(members[0]), str(copy), "b/1"]


def test_preparations_that_differ_in_the_limit_alone_are_one(members, images, tmp_path):
    smaller = Preparation(8, 8, 5000)
    other = make_bundle(tmp_path / "other", images, preparation=smaller)
    found = shared_preparations(load_members([members[0], other]))
    assert found == [(smaller,), (smaller,)]


def test_a_bundle_that_prepares_images_otherwise_is_refused(members, images, tmp_path):
    old = make_bundle(tmp_path / "old", images, preparation=Preparation(8, 8, 10**6, version=1))
    with pytest.raises(MemberError, match="made by another version"):
        load_members([members[0], old])
