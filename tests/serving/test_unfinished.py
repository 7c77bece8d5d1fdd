import os
import threading

import pytest

from toolkit.errors import DiskFullError, NotWritableError, OptionError, ResumeError
from toolkit.serving.unfinished import ABANDONED_SECONDS, UnfinishedRun

OPTIONS = {"seed": 0, "epochs": 8, "split": (0.7, 0.15, 0.15)}


@pytest.fixture
def model(tmp_path):
    return tmp_path / "models" / "pets"


def leave(model, options=OPTIONS, mark=""):
    """A run that was interrupted; its folder."""
    with pytest.raises(KeyboardInterrupt), UnfinishedRun.start(model, options, False) as run:
        (run.folder / "state").write_text(mark)
        raise KeyboardInterrupt
    return run.folder


def test_a_run_that_is_done_leaves_nothing(model):
    with UnfinishedRun.start(model, OPTIONS, False) as run:
        assert run.folder.parent == model
        assert run.folder.name.startswith("."), "servers pass it over"
    assert not model.exists()


def test_versions_stay_when_a_run_ends(model):
    with UnfinishedRun.start(model, OPTIONS, False):
        (model / "1").mkdir()
    assert os.listdir(model) == ["1"]


def test_an_error_that_only_other_options_mend_leaves_nothing(model):
    with pytest.raises(OptionError), UnfinishedRun.start(model, OPTIONS, False):
        raise OptionError("--image-size", "larger", 1)
    assert not model.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), DiskFullError("it", "here")])
def test_an_interrupted_run_is_taken_up(model, error):
    with pytest.raises(type(error)), UnfinishedRun.start(model, OPTIONS, False) as run:
        raise error
    with UnfinishedRun.start(model, OPTIONS, True) as resumed:
        assert resumed.folder == run.folder


def test_without_resume_it_starts_clean(model):
    left = leave(model)
    with UnfinishedRun.start(model, OPTIONS, False) as run:
        assert not left.exists()
        assert not (run.folder / "state").exists()


def test_resume_with_nothing_left_starts(model):
    with UnfinishedRun.start(model, OPTIONS, True) as run:
        assert run.folder.exists()


def test_resume_with_other_options_names_them(model):
    left = leave(model)
    with pytest.raises(ResumeError) as caught:
        UnfinishedRun.start(model, {**OPTIONS, "epochs": 9, "seed": 1}, True)
    assert "epochs: 8, now 9; seed: 0, now 1" in str(caught.value)
    assert "split" not in str(caught.value)
    with UnfinishedRun.start(model, OPTIONS, True) as run:
        assert run.folder == left, "it can still be resumed"


def test_a_run_with_other_options_is_left_alone(model):
    left = leave(model)
    with UnfinishedRun.start(model, {**OPTIONS, "seed": 1}, False) as run:
        assert run.folder != left
    assert (left / "state").exists()


def test_the_right_one_of_several_is_taken_up(model):
    leave(model, {"seed": 1}, "one")
    leave(model, {"seed": 2}, "two")
    leave(model, {"seed": 3}, "three")
    with UnfinishedRun.start(model, {"seed": 2}, True) as run:
        assert (run.folder / "state").read_text() == "two"


def test_a_living_run_is_not_touched(model):
    with UnfinishedRun.start(model, OPTIONS, False) as first:
        for resume in (False, True):
            with UnfinishedRun.start(model, OPTIONS, resume) as second:
                assert second.folder != first.folder
            assert first.folder.exists()


def test_runs_that_start_at_once_get_a_folder_each(model):
    leave(model)
    folders, barrier = [], threading.Barrier(12, timeout=30)

    def run():
        barrier.wait()
        with UnfinishedRun.start(model, OPTIONS, False) as started:
            folders.append(started.folder)
            barrier.wait()

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 12
    assert not model.exists()


def test_a_folder_without_options_is_cleaned_away(model):
    left = leave(model)
    (left / "options.json").write_text("{")
    with UnfinishedRun.start(model, OPTIONS, True) as run:
        assert run.folder != left
    assert not left.exists()


def test_what_was_killed_while_it_started_is_cleaned_away(model):
    old, young = model / ".passing-old", model / ".passing-young"
    old.mkdir(parents=True)
    young.mkdir()
    past = young.stat().st_mtime - 2 * ABANDONED_SECONDS
    os.utime(old, (past, past))
    with UnfinishedRun.start(model, OPTIONS, False):
        assert not old.exists()
        assert young.exists(), "its process may be about to lock it"


def test_a_models_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(NotWritableError, match="--models-dir must be a folder") as caught:
        UnfinishedRun.start(tmp_path / "models" / "pets", OPTIONS, False)
    assert str(tmp_path / "models") in str(caught.value)


def test_a_run_goes_on_with_the_images_that_it_had(model):
    with pytest.raises(KeyboardInterrupt), UnfinishedRun.start(model, OPTIONS, False) as run:
        run.keep_data("one")
        raise KeyboardInterrupt
    with pytest.raises(ResumeError, match="data"), UnfinishedRun.start(model, OPTIONS, True) as run:
        run.keep_data("two")
    with UnfinishedRun.start(model, OPTIONS, True) as run:
        assert run.resumed, "the refusal has left it as it was"
        run.keep_data("one")


def test_a_new_run_is_not_resumed(model):
    with UnfinishedRun.start(model, OPTIONS, True) as run:
        assert not run.resumed
        run.keep_data("any")
