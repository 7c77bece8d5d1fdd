from tests.checks.facts import by_kind, make_facts, paths
from toolkit.checks.files import check_files
from toolkit.checks.findings import DOUBTFUL, NOTE


def test_sound_images_give_no_finding():
    assert check_files(make_facts()) == []


def test_unreadable_files_are_named_and_left_out():
    found = by_kind(check_files(make_facts(problems=["x/bad.jpg", "y/empty.png"])))["unreadable"]
    assert paths(found) == ["x/bad.jpg", "y/empty.png"]
    assert found.title == "2 files cannot be read" and found.severity == DOUBTFUL
    assert all(each.leave_out and each.why == "empty file" for each in found.suspects)


def test_extensions_are_compared_with_the_content():
    names = ["a.jpg", "b.JPEG", "c.png", "d.jpg", "e", "f.tiff", "x-train.tfrecord-0@1+2"]
    formats = ["JPEG", "JPEG", "PNG", "WEBP", "PNG", "JPEG", "JPEG"]
    found = by_kind(check_files(make_facts(7, paths=names, formats=formats)))["extension"]
    assert paths(found) == ["d.jpg", "f.tiff"]
    assert [each.why for each in found.suspects] == [
        "a WEBP file, called .jpg",
        "a JPEG file, called .tiff",
    ]
    assert found.title == "2 images with a wrong extension"
    assert not any(each.leave_out for each in found.suspects)


def test_turned_small_long_and_blank_images_are_named_worst_first():
    facts = make_facts(
        6,
        orientation=[1, 6, 1, 1, 3, 1],
        height=[100, 100, 31, 9, 100, 100],
        width=[100, 300, 90, 9, 301, 900],
        contrast=[50, 3.9, 4.0, 50, 0, 50],
    )
    found = by_kind(check_files(facts))
    assert paths(found["rotated"]) == ["1.jpg", "4.jpg"] and found["rotated"].severity == NOTE
    assert found["rotated"].suspects[0].why == "EXIF orientation 6"
    assert paths(found["small"]) == ["3.jpg", "2.jpg"]
    assert found["small"].suspects[0].why == "9 x 9 pixels"
    assert paths(found["long"]) == ["5.jpg", "4.jpg"], "3.0 : 1 is not too long"
    assert paths(found["blank"]) == ["1.jpg", "4.jpg"]


def test_grey_images_are_told_where_others_have_colours():
    grey = [k % 2 == 0 for k in range(50)] + [True] * 50
    found = by_kind(check_files(make_facts(100, grey=grey)))["grey"]
    assert found.title == "75% of the images are grey, of 'a' 100%"
    assert len(found.suspects) == 75
    assert check_files(make_facts(100, grey=[True] * 100)) == []
