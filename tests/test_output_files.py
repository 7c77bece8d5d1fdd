import os

import pytest

from tests.conftest import as_plain_user
from toolkit.errors import NotWritableError, OptionError
from toolkit.output_files import check_writable, drawn_to, picture_path


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert picture_path(tmp_path / "a" / "x.PNG") == tmp_path / "a" / "x.PNG"
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_written_is_refused_at_once(tmp_path, shared_folder):
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError, match="--output must be a folder that can be written"):
        check_writable(tmp_path / "file" / "inside")
    os.chmod(shared_folder, 0o555)
    with as_plain_user(), pytest.raises(NotWritableError):
        picture_path(shared_folder / "new" / "x.png")
    with pytest.raises(OptionError, match=r"a file whose name ends in \.png"):
        picture_path(tmp_path / "x.jpg")


def test_a_picture_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(ZeroDivisionError), drawn_to(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with drawn_to(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    (tmp_path / "y.png").mkdir()
    with pytest.raises(NotWritableError), drawn_to(tmp_path / "y.png"):
        pass
