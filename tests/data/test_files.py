import pytest

from toolkit.data.files import find_files
from toolkit.errors import NoSuchFileError


@pytest.fixture
def folder(tmp_path):
    for name in ["b.jpg", "a.jpg", "in/c.jpg", "in/.d.jpg", ".e/f.jpg", "[1].jpg", "x y.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_all_its_files_without_hidden_ones(folder):
    names = ["[1].jpg", "a.jpg", "b.jpg", "x y.png", "in/c.jpg"]
    assert find_files([str(folder)]) == [str(folder / name) for name in names]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.jpg", ["a.jpg"]),
        ("[1].jpg", ["[1].jpg"]),  # A file of this name comes before the pattern.
        ("[ab].jpg", ["a.jpg", "b.jpg"]),
        ("*.png", ["x y.png"]),
        ("**/c.jpg", ["in/c.jpg"]),
        ("in/.d.jpg", ["in/.d.jpg"]),  # Asked for by name.
    ],
)
def test_patterns(folder, pattern, names):
    assert find_files([str(folder / pattern)]) == [str(folder / name) for name in names]


def test_the_order_is_that_of_the_names(folder):
    given = [str(folder / "b.jpg"), str(folder / "in"), str(folder / "a.jpg")]
    assert find_files(given) == [given[0], str(folder / "in/c.jpg"), given[2]]


@pytest.mark.parametrize("name", ["nothing.jpg", "*.gif", "i*"])
def test_what_leads_to_nothing_is_named(folder, name):
    with pytest.raises(NoSuchFileError, match="Nothing is found at") as error:
        find_files([str(folder / "a.jpg"), str(folder / name)])
    assert name in str(error.value)
