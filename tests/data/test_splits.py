import dataclasses
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from toolkit.data.splits import assign_splits, check_classes, check_fractions, split_fractions
from toolkit.data.table import SPLITS, TEST, TRAIN, VALIDATION, ImageTable, Problem
from toolkit.errors import (
    EmptySplitError,
    NoClassesError,
    OptionError,
    TooFewImagesError,
    UnknownClassesError,
)

FRACTIONS = (0.7, 0.15, 0.15)


def _digest(name: object) -> str:
    return hashlib.blake2b(str(name).encode(), digest_size=16).hexdigest()


def make_table(
    contents: dict[str, list],
    splits: dict[str, str] | None = None,
    given: tuple = (),
    group: Callable[[str], str] | None = None,
) -> ImageTable:
    """A table out of each class's contents; `splits` is looked up by content, `group` asked."""
    rows = [(label, c) for label, name in enumerate(contents) for c in contents[name]]
    names = list(contents)
    return ImageTable(
        root=Path("/data"),
        classes=names,
        paths=np.array([f"{names[label]}/{k}" for k, (label, _) in enumerate(rows)], object),
        labels=np.array([label for label, _ in rows], np.int32),
        digests=np.array([_digest(c) for _, c in rows], object),
        splits=np.array([(splits or {}).get(c, "") for _, c in rows], object),
        given=given,
        groups=None if group is None else np.array([group(c) for _, c in rows], object),
    )


def _large(images: int = 3000, classes: int = 3) -> ImageTable:
    return make_table({f"c{k}": [f"{k}-{i}" for i in range(images)] for k in range(classes)})


def _places(table: ImageTable) -> dict[str, str]:
    return dict(zip(table.digests, table.splits, strict=True))


@pytest.mark.parametrize("fractions", [FRACTIONS, (0.5, 0.25, 0.25), (0.98, 0.01, 0.01)])
def test_shares_lie_within_what_chance_allows(fractions):
    table = assign_splits(_large(), fractions, seed=0)

    for label in range(3):
        splits = table.splits[table.labels == label]
        for name, share in zip(SPLITS, fractions, strict=True):
            low, high = binom.interval(0.9999, len(splits), share)
            assert low <= np.sum(splits == name) <= high
    assert set(table.splits) == set(SPLITS)


def test_the_seed_decides():
    table = _large(300)
    first, same, other = (assign_splits(table, FRACTIONS, seed).splits for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, same)
    # Two independent draws agree on 0.7^2 + 2 x 0.15^2 = 0.535 of the images.
    assert 0.45 < np.mean(first == other) < 0.62


def test_only_the_splits_are_changed():
    table = _large(20)
    assigned = assign_splits(table, FRACTIONS, 0)

    assert table.splits.tolist() == [""] * 60
    for column in ("paths", "labels", "digests"):
        assert getattr(assigned, column) is getattr(table, column)


@pytest.mark.parametrize("size", [3, 4, 5, 10])
def test_every_class_has_a_share_of_every_split(size):
    contents = {f"c{k}": [f"{size}-{k}-{i}" for i in range(size)] for k in range(200)}
    table = assign_splits(make_table(contents), FRACTIONS, seed=0)

    for label in range(200):
        assert set(table.splits[table.labels == label]) == set(SPLITS)


@pytest.mark.parametrize("seed", range(30))
def test_also_where_an_image_lies_in_two_classes(seed):
    random = np.random.default_rng(seed)
    contents = {}
    for k in range(12):
        own = [f"{seed}-{k}-{i}" for i in range(3)]
        contents[f"c{k}"] = own + [f"{seed}-shared-{i}" for i in random.integers(0, 6, 3)]
    table = assign_splits(make_table(contents), FRACTIONS, seed)

    for label in range(12):
        assert set(table.splits[table.labels == label]) == set(SPLITS)
    assert all(len({*table.splits[table.digests == d]}) == 1 for d in set(table.digests))


def test_identical_images_fall_on_the_same_side():
    contents = {"a": [k % 40 for k in range(200)], "b": [f"b{k % 40}" for k in range(200)]}
    table = assign_splits(make_table(contents), FRACTIONS, 0)

    assert len(set(table.digests)) == 80
    for digest in set(table.digests):
        assert len(set(table.splits[table.digests == digest])) == 1


def test_adding_images_moves_none_of_those_placed():
    small = {f"c{k}": [f"{k}-{i}" for i in range(60)] for k in range(5)}
    large = {name: [f"new-{name}-{i}" for i in range(25)] + small[name] for name in small}
    large["another"] = [f"another-{i}" for i in range(10)]

    before = _places(assign_splits(make_table(small), FRACTIONS, 0))
    after = _places(assign_splits(make_table(large), FRACTIONS, 0))

    assert {digest: after[digest] for digest in before} == before


def test_removing_images_moves_none_of_those_left():
    table = _large(200)
    before = _places(assign_splits(table, FRACTIONS, 0))
    kept = np.random.default_rng(0).random(len(table)) < 0.5

    after = _places(assign_splits(table.rows(kept), FRACTIONS, 0))

    assert after == {digest: before[digest] for digest in after}


@pytest.mark.parametrize("size", [3, 50])
def test_the_order_of_the_rows_does_not_matter(size):
    table = _large(size)
    order = np.random.default_rng(0).permutation(len(table))

    assert _places(assign_splits(table.rows(order), FRACTIONS, 0)) == _places(
        assign_splits(table, FRACTIONS, 0)
    )


def test_neither_names_nor_labels_of_the_classes_matter():
    table = _large(50)
    renamed = dataclasses.replace(table, classes=["z", "y", "x"], labels=2 - table.labels)

    assert _places(assign_splits(renamed, FRACTIONS, 0)) == _places(
        assign_splits(table, FRACTIONS, 0)
    )


CONTENTS = {name: [f"{name}{i}" for i in range(60)] for name in "ab"}


class TestGiven:
    def _table(self, *given: str) -> ImageTable:
        """As many images in each given split, after `given`'s order."""
        splits = {}
        for images in CONTENTS.values():
            for k, content in enumerate(images):
                splits[content] = given[k * len(given) // len(images)]
        return make_table(CONTENTS, splits, given)

    def test_all_three_stay(self):
        table = self._table(TRAIN, VALIDATION, TEST)
        assigned = assign_splits(table, FRACTIONS, 0)

        np.testing.assert_array_equal(assigned.splits, table.splits)

    @pytest.mark.parametrize(("given", "missing"), [(TEST, VALIDATION), (VALIDATION, TEST)])
    def test_a_missing_one_is_taken_out_of_train(self, given, missing):
        table = self._table(TRAIN, given)
        assigned = assign_splits(table, FRACTIONS, 0)

        np.testing.assert_array_equal(assigned.splits == given, table.splits == given)
        assert set(assigned.splits[table.splits == TRAIN]) == {TRAIN, missing}
        # 0.15 of 0.85 is left to it.
        low, high = binom.interval(0.9999, 60, 0.15 / 0.85)
        assert low <= np.sum(assigned.splits == missing) <= high

    def test_train_alone_is_shared_out_like_plain_class_folders(self):
        plain = make_table(CONTENTS)

        np.testing.assert_array_equal(
            assign_splits(self._table(TRAIN), FRACTIONS, 0).splits,
            assign_splits(plain, FRACTIONS, 0).splits,
        )

    def test_images_that_the_source_has_on_two_sides_are_said(self, caplog):
        contents = {"a": ["a1", "a2", "a3"], "b": ["b1", "b2", "b3"]}
        table = make_table(contents, {c: TRAIN for k in contents for c in contents[k]}, SPLITS)
        for path, label, content, split in [
            ("x", 0, "a1", VALIDATION),
            ("y", 1, "b9", VALIDATION),
            ("z", 1, "b2", TEST),
            ("w", 0, "a2", TEST),
        ]:
            table = dataclasses.replace(
                table,
                paths=np.append(table.paths, path),
                labels=np.append(table.labels, np.int32(label)),
                digests=np.append(table.digests, _digest(content)),
                splits=np.append(table.splits, split),
            )
        with caplog.at_level(logging.WARNING, "toolkit"):
            assigned = assign_splits(table, FRACTIONS, 0)

        assert caplog.messages == [
            "1 images of the validation split are also in the training split.",
            "2 images of the test split are also in the training split.",
        ]
        np.testing.assert_array_equal(assigned.splits, table.splits)

    def test_nothing_is_said_where_there_is_nothing(self, caplog):
        assign_splits(_large(50), FRACTIONS, 0)
        assert caplog.messages == []


@pytest.mark.parametrize(
    "fractions",
    [
        (0.7, 0.3),
        (0.7, 0.1, 0.1, 0.1),
        (0.7, 0.2, 0.2),
        (1.0, 0.0, 0.0),
        (1.2, -0.1, -0.1),
        (float("nan"), 0.5, 0.5),
        (0.5, float("nan"), 0.5),
        (float("inf"), 0.5, 0.5),
        (),
    ],
)
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(OptionError, match="three positive shares") as error:
        check_fractions(fractions)
    assert "--split" in str(error.value) and "0.7,0.15,0.15" in str(error.value)


def test_good_fractions_pass():
    check_fractions((0.7, 0.15, 0.15))
    check_fractions([1 / 3] * 3)


class TestCheckClasses:
    def test_a_good_table_passes(self):
        check_classes(make_table({"a": [1, 2, 3], "b": [4, 5, 6]}))

    @pytest.mark.parametrize(
        ("contents", "found"),
        [
            ({}, "no class folders"),
            ({"a": [1, 2, 3]}, "only the class 'a'"),
            ({"a": [], "b": []}, "no class folders with images"),
        ],
    )
    def test_fewer_than_two_classes(self, contents, found):
        with pytest.raises(NoClassesError, match=found):
            check_classes(make_table(contents))

    @pytest.mark.parametrize("images", [[], [1], [1, 2], [1, 1, 2], [1] * 9])
    def test_a_class_needs_three_different_images(self, images):
        with pytest.raises(TooFewImagesError) as error:
            check_classes(make_table({"cat": [7, 8, 9], "dog": images}))
        assert "at least 3 different readable images" in str(error.value)
        assert f"'dog' has {len(set(images))}" in str(error.value)

    def test_unreadable_files_of_the_class_are_counted(self):
        table = make_table({"cat": [7, 8, 9], "dog": [1]})
        problems = [Problem("dog/x.jpg", "empty file"), Problem("cat/y.jpg", "empty file")]

        with pytest.raises(TooFewImagesError, match="1 unreadable files were left out"):
            check_classes(dataclasses.replace(table, problems=problems))

    def test_with_given_splits_one_image_may_be_enough_to_train(self):
        splits = {1: TRAIN, 2: VALIDATION, 3: TEST, 4: TRAIN, 5: VALIDATION, 6: TEST}
        check_classes(make_table({"a": [1, 2, 3], "b": [4, 5, 6]}, splits, SPLITS))
        with pytest.raises(TooFewImagesError, match="at least 2 different"):
            two = {k: v for k, v in splits.items() if v != TEST}
            check_classes(make_table({"a": [1, 2], "b": [4, 5]}, two, (TRAIN, VALIDATION)))

    def test_a_class_that_is_only_validated_is_named(self):
        splits = {1: TRAIN, 2: VALIDATION, 3: TRAIN, 4: VALIDATION, 9: VALIDATION}
        contents = {"a": [1, 2, 11, 12], "b": [3, 4, 13, 14], "zebra": [9]}
        splits |= {k: TRAIN for k in (11, 12, 13, 14)}
        with pytest.raises(UnknownClassesError) as error:
            check_classes(make_table(contents, splits, (TRAIN, VALIDATION)))
        assert "training split does not know the class 'zebra'" in str(error.value)
        assert "'a', 'b'" in str(error.value)

    def test_a_class_may_be_missing_from_validation(self):
        splits = {1: TRAIN, 2: VALIDATION, 3: TRAIN, 4: TEST}
        check_classes(make_table({"a": [1, 2], "b": [3, 4]}, splits, SPLITS))

    def test_a_given_split_without_images(self):
        table = make_table({"a": [1, 2, 3], "b": [4, 5, 6]}, dict.fromkeys(range(7), TRAIN))
        with pytest.raises(EmptySplitError, match="validation has none"):
            check_classes(dataclasses.replace(table, given=(TRAIN, VALIDATION)))


def _person(content: str) -> str:
    return content.split("-")[0]


def _people(persons: int, photos: int = 12) -> ImageTable:
    """Each person has photos in each of three classes."""
    names = [f"p{k:03}" for k in range(persons)]
    contents = {c: [f"{p}-{c}-{k}" for p in names for k in range(photos)] for c in "abc"}
    return make_table(contents, group=_person)


@pytest.mark.parametrize("seed", range(5))
def test_groups_never_cross(seed):
    table = assign_splits(_people(60), FRACTIONS, seed)

    sides = {name: set(table.groups[table.splits == name]) for name in SPLITS}
    assert not sides[TRAIN] & sides[VALIDATION] and not sides[TRAIN] & sides[TEST]
    assert not sides[VALIDATION] & sides[TEST] and all(sides.values())
    for name in SPLITS:
        assert set(table.labels[table.splits == name]) == {0, 1, 2}


def test_adding_images_to_groups_and_groups_moves_no_image():
    before = _places(assign_splits(_people(60, 5), FRACTIONS, 0))
    after = _places(assign_splits(_people(90, 12), FRACTIONS, 0))
    assert {digest: after[digest] for digest in before} == before


@pytest.mark.parametrize("persons", [3, 4, 5])
def test_each_split_has_each_class_where_groups_are_few(persons):
    for seed in range(20):
        table = assign_splits(_people(persons), FRACTIONS, seed)
        for name in SPLITS:
            assert set(table.labels[table.splits == name]) == {0, 1, 2}


def test_too_few_groups_are_refused_though_there_are_photos_enough():
    with pytest.raises(TooFewImagesError, match=r"3 groups of readable images .* 'a' has 2;"):
        check_classes(_people(2))
    check_classes(_people(3))


def test_shares_that_the_groups_do_not_allow_are_told(caplog):
    contents = {c: [f"big-{c}-{k}" for k in range(500)] for c in "ab"}
    for c in "ab":
        contents[c] += [f"{person}-{c}" for person in ("x", "y", "z")]
    assign_splits(make_table(contents, group=_person), FRACTIONS, 0)
    assert caplog.messages[0].startswith("The groups are few, or of very different sizes: train ")
    caplog.clear()
    assign_splits(_people(400, 1), FRACTIONS, 0)
    assert caplog.messages == []


def test_what_a_source_leaves_open_joins_its_group_that_is_tested():
    contents = {c: [f"p{k}-{c}-{i}" for k in range(9) for i in range(2)] for c in "ab"}
    given = {f"p{k}-{c}-0": TEST for k in range(4) for c in "ab"}
    table = assign_splits(make_table(contents, given, (TEST,), _person), FRACTIONS, 0)

    tested = set(table.groups[table.splits == TEST])
    assert tested == {f"p{k}" for k in range(4)}
    assert not tested & set(table.groups[table.splits != TEST])


def test_groups_that_a_source_itself_puts_on_two_sides_are_told(caplog):
    contents = {c: [f"p{k}-{c}-{i}" for k in range(9) for i in range(3)] for c in "ab"}
    split = {0: TRAIN, 1: VALIDATION, 2: TEST}
    given = {c: split[int(c[-1])] for contents_ in contents.values() for c in contents_}
    assign_splits(make_table(contents, given, SPLITS, _person), FRACTIONS, 0)
    assert caplog.messages == [
        f"18 images of the {name} split are, or others of their groups, also in the training split."
        for name in (VALIDATION, TEST)
    ]


@pytest.mark.parametrize(
    ("images", "held_out"),
    [(0, 0.15), (300, 0.15), (10_000, 0.15), (100_000, 0.0387), (10**6, 0.01), (10**8, 0.01)],
)
def test_auto_holds_out_a_smaller_share_of_more_images(images, held_out):
    shares = split_fractions("auto", images)
    assert shares == pytest.approx((1 - 2 * held_out, held_out, held_out), abs=1e-4)
    assert sum(shares) == pytest.approx(1)


def test_shares_that_are_given_stay():
    assert split_fractions((0.5, 0.3, 0.2), 10**6) == (0.5, 0.3, 0.2)
    check_fractions("auto")
    with pytest.raises(OptionError, match=r"--split must be auto, or three .* 'half'"):
        check_fractions("half")


def test_auto_gives_what_its_shares_give():
    table = _large(300)
    auto, shares = (assign_splits(table, split, 0).splits for split in ("auto", FRACTIONS))
    np.testing.assert_array_equal(auto, shares)
