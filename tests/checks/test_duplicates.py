import numpy as np

from tests.checks.facts import by_kind, changed, far_hashes, make_facts, paths
from toolkit.checks.duplicates import check_duplicates
from toolkit.checks.findings import DOUBTFUL, NOTE, SERIOUS


def near(hashes, row, other, bits=3):
    """The hashes where two images look the same."""
    hashes = hashes.copy()
    hashes[row] = hashes[other]
    hashes[row, 1] ^= np.uint64(2**bits - 1)
    return hashes


def test_different_images_give_no_finding():
    assert check_duplicates(make_facts(50)) == []


def test_copies_of_one_class_are_named_but_for_the_first():
    facts = make_facts(4, digests=["x", "y", "x", "x"], labels=[0, 1, 0, 0])
    facts.hashes[[2, 3]] = facts.hashes[0]
    found = by_kind(check_duplicates(facts))
    assert list(found) == ["copies"], "identical ones are not near duplicates as well"
    assert found["copies"].severity == NOTE
    assert paths(found["copies"]) == ["2.jpg", "3.jpg"]
    assert all(each.leave_out and each.beside == "0.jpg" for each in found["copies"].suspects)


def test_copies_in_two_splits_leave_out_what_is_trained_on():
    splits = ["train", "test", "train", "validation", "train", "test"]
    digests = ["x", "x", "y", "y", "z", "w"]
    facts = make_facts(6, digests=digests, labels=[0, 0, 1, 1, 0, 0], splits=splits)
    facts.hashes[[1, 3]] = facts.hashes[[0, 2]]
    found = by_kind(check_duplicates(facts))["leak"]
    assert found.severity == SERIOUS and found.title == "2 images identical to one in another split"
    assert paths(found) == ["0.jpg", "2.jpg"]
    assert [each.why for each in found.suspects] == [
        "identical to 1.jpg in test",
        "identical to 3.jpg in validation",
    ]
    assert all(each.leave_out for each in found.suspects)


def test_copies_with_two_labels_are_all_left_out():
    facts = make_facts(3, digests=["x", "x", "y"], labels=[0, 1, 0])
    facts.hashes[1] = facts.hashes[0]
    found = by_kind(check_duplicates(facts))["two-labels"]
    assert found.severity == SERIOUS and paths(found) == ["0.jpg", "1.jpg"]
    assert found.suspects[0].why == "identical to 1.jpg: 'b'"
    assert all(each.leave_out for each in found.suspects)


def test_near_duplicates_are_judged_alike():
    hashes = near(near(near(far_hashes(6), 1, 0), 3, 2), 5, 4)
    splits = ["train", "test", "train", "train", "train", "train"]
    facts = make_facts(6, hashes=hashes, labels=[0, 0, 0, 0, 0, 1], splits=splits)
    found = by_kind(check_duplicates(facts))
    assert set(found) == {"near-leak", "near-copies", "near-two-labels"}
    assert paths(found["near-leak"]) == ["0.jpg"] and found["near-leak"].suspects[0].leave_out
    assert paths(found["near-copies"]) == ["3.jpg"]
    assert not found["near-copies"].suspects[0].leave_out, "a person has to look"
    assert paths(found["near-two-labels"]) == ["4.jpg", "5.jpg"]
    assert not any(each.leave_out for each in found["near-two-labels"].suspects)


def test_near_copies_matter_more_where_images_are_still_to_be_split():
    facts = make_facts(2, hashes=near(far_hashes(2), 1, 0), labels=[0, 0])
    assert by_kind(check_duplicates(facts))["near-copies"].severity == DOUBTFUL
    facts = changed(facts, splits=np.array(["train"] * 2, object), given=("train",))
    assert by_kind(check_duplicates(facts))["near-copies"].severity == NOTE


def test_groups_in_two_given_splits_are_named():
    groups, splits = ["ann", "ann", "bob", "bob"], ["train", "test", "train", "train"]
    facts = make_facts(4, groups=groups, splits=splits)
    found = by_kind(check_duplicates(facts))["groups-apart"]
    assert found.severity == SERIOUS and paths(found) == ["0.jpg", "1.jpg"]
    assert found.suspects[0].why == "ann is in test, train"
    assert check_duplicates(make_facts(4, groups=groups)) == []
