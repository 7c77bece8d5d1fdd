from pathlib import Path

import numpy as np
import pytest

from toolkit.data.groups import group_by_path, has_groups, join_groups, units
from toolkit.data.listing import ListedFile, Listing
from toolkit.data.table import ImageTable
from toolkit.errors import OptionError

PATHS = ["cat/ann-01.jpg", "cat/ann-02.jpg", "dog/bob-01.jpg"]


def listing() -> Listing:
    return Listing(Path("/data"), [ListedFile(path, path[:3]) for path in PATHS], ["cat", "dog"])


def make_table(digests: str, groups: list[str] | None) -> ImageTable:
    count = len(digests)
    return ImageTable(
        root=Path("/data"),
        classes=["one"],
        paths=np.array([f"{k}.jpg" for k in range(count)], object),
        labels=np.zeros(count, np.int32),
        digests=np.array(list(digests), object),
        splits=np.array([""] * count, object),
        groups=None if groups is None else np.array(groups, object),
    )


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"/(\w+)-\d+", ["ann", "ann", "bob"]),
        (r"\w+-", ["ann-", "ann-", "bob-"]),
        (r"^(\w+)/(\w+)", ["cat|ann", "cat|ann", "dog|bob"]),
        (r"(x)?/", ["/", "/", "/"]),
    ],
)
def test_a_part_of_each_path_is_the_group(pattern, groups):
    assert [file.group for file in group_by_path(listing(), pattern).files] == groups


def test_a_pattern_that_is_not_found_everywhere_would_leak_and_is_refused():
    with pytest.raises(OptionError, match=r"1 of 3 have no match, as dog/bob-01\.jpg"):
        group_by_path(listing(), "ann")
    with pytest.raises(OptionError, match=r"regular expression \(missing \)"):
        group_by_path(listing(), "(ann")


def test_without_groups_identical_files_are_together():
    for groups in (None, ["", "", ""]):
        table = make_table("aba", groups)
        assert not has_groups(table)
        assert list(units(table)) == ["a", "b", "a"]


def test_what_groups_and_identical_files_join_is_together():
    #      digest  a        b      c      a        d    e    d
    groups = ["ann", "ann", "bob", "zoe", "", "", "bob"]
    table = make_table("abcadeD".replace("D", "d"), groups)

    together = units(table)

    assert has_groups(table)
    assert together[0] == together[1] == together[3] == "group ann"  # zoe has ann's photo a.
    assert together[2] == together[6] == together[4] == "group bob"  # bob's d is there twice.
    assert together[5] == "e"


def test_a_group_is_not_taken_for_a_digest():
    assert list(units(make_table("ab", ["b", ""]))) == ["group b", "b"]


def test_sets_become_groups_and_join_those_that_there_are():
    before = make_table("543212", ["ann", "", "", "", "bob", ""])
    joined = join_groups(before, np.array([0, 0, 1, 1, 2, 3]))
    assert list(joined.groups) == ["ann", "ann", "2", "2", "bob", "2"]
    alone = join_groups(before, np.arange(6))
    assert list(alone.groups) == ["ann", "", "", "2", "bob", "2"], "identical files are one set"
    tied = join_groups(before, np.array([0, 1, 2, 3, 0, 4]))
    assert [tied.groups[0], tied.groups[4]] == ["ann", "ann"]
    assert list(join_groups(make_table("abc", None), np.zeros(3, int)).groups) == ["a"] * 3
