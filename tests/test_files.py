import errno
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from tests.conftest import ROOT
from toolkit.errors import DiskFullError, OptionError
from toolkit.files import appearing, cache_folder, is_full_disk, naming_full_disk


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"

    monkeypatch.delenv("TOOLKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == platformdirs.user_cache_path("toolkit", appauthor=False)
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "toolkit"


def test_a_file_appears_at_the_end_and_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"

    with appearing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".txt"
        assert not path.exists()

    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    with pytest.raises(error), appearing(path) as temporary:
        temporary.write_text("half")
        raise error

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom toolkit.files import appearing\n"
        "with appearing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT).returncode == -9
    assert path.read_text() == "old"
    assert list(tmp_path.glob("*.txt")) == [path] or all(
        other == path or other.name.startswith(".") for other in tmp_path.glob("*.txt")
    )


def _chained(inner: BaseException) -> Exception:
    try:
        try:
            raise inner
        except type(inner):
            raise RuntimeError("while saving")  # noqa: B904
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, "quota"),
        OSError(errno.EFBIG, "limit"),
        RuntimeError("tensor_bundle: No space left on device; write failed"),
        _chained(OSError(errno.ENOSPC, "full")),
    ],
)
def test_a_full_disk_is_named_with_what_to_do(error):
    assert is_full_disk(error)
    with pytest.raises(DiskFullError) as full, naming_full_disk("the bundle", Path("/models")):
        raise error
    assert full.value.__cause__ is error
    assert "while the bundle was written to /models" in str(full.value)
    assert "Make room" in str(full.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("No such layer"),
        PermissionError(errno.EACCES, "closed"),
        OptionError("a", "b", 1),
    ],
)
def test_other_errors_pass(error):
    assert not is_full_disk(error)
    with pytest.raises(type(error)) as same, naming_full_disk("the bundle", Path("/models")):
        raise error
    assert same.value is error


def test_a_full_disk_that_was_named_is_not_named_again():
    first = DiskFullError("the features", "/cache")
    first.__cause__ = OSError(errno.ENOSPC, "full")

    with pytest.raises(DiskFullError) as same, naming_full_disk("the bundle", Path("/models")):
        raise first
    assert same.value is first
