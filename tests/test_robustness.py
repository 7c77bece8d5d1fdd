"""Runs that are killed, interrupted, run out of disk, or meet: nothing half made is ever seen."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import toolkit
import toolkit.finetuning  # So that a test can replace a part of it.
from tests.conftest import ROOT, SMALL, write_images
from toolkit.errors import DiskFullError, ResumeError
from toolkit.serving.bundle import find_bundle, versions

pytestmark = pytest.mark.slow

DYING = """if True:
    import importlib, os, signal, sys
    place, call = sys.argv[1], int(sys.argv[2])
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def die(*arguments, **options):
        global calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, die)
    from toolkit.classifier import features
    features.SECONDS_BETWEEN_SHARDS = features.LOSABLE_SHARE = 0  # Each batch is kept at once.
    sys.argv[1:] = sys.argv[3:]
    from toolkit.cli.main import main
    main()
"""
"""Runs the command and kills the process where a function is called for the given time."""


def command_line(images, models, *more):
    values = {name: value for name, value in SMALL.items() if name != "quiet"}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    return ["finetune", f"--data={images}", f"--models-dir={models}", *options, *map(str, more)]


def environment(cache):
    return {**os.environ, "TOOLKIT_CACHE": str(cache)}


def run_and_kill(place, call, cache, arguments):
    command = [sys.executable, "-c", DYING, place, str(call), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(cache), capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def start(cache, *arguments):
    command = [sys.executable, "-m", "toolkit.cli.main", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(cache),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell lets what it runs in the background ignore Ctrl-C, and its children inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(condition, process, seconds=120):
    """Waits for a condition while a process lives."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it took too long"
        threading.Event().wait(0.02)


def left_runs(model):
    return sorted(model.glob(".unfinished-*"))


def read(result, name):
    return (result.bundle.extra / name).read_bytes()


def test_a_killed_run_starts_clean_or_goes_on_to_the_same_end(finished, images, tmp_path):
    cache, model = tmp_path / "cache", tmp_path / "models" / "colours"
    arguments = command_line(images, tmp_path / "models")

    # Features are two batches, and one more where the engine rounds; views are six.
    run_and_kill("toolkit.classifier.store:ArrayStore._write", 5, cache, arguments)
    [first] = left_runs(model)
    assert 1 <= len([*cache.glob("views/*/*.npy")]) <= 2, "in the middle of the views"
    assert versions(model) == []

    run_and_kill("toolkit.training.checkpoint:Checkpoint.on_epoch_end", 2, cache, arguments)
    [second] = left_runs(model)
    assert second != first, "without --resume it starts clean"
    assert (second / "state.npz").exists(), "in the middle of training on views"
    assert versions(model) == []

    with pytest.raises(ResumeError, match="epochs: 3, now 4"):
        toolkit.finetune(
            images, models_dir=tmp_path / "models", resume=True, **SMALL | {"epochs": 4}
        )
    assert left_runs(model) == [second]

    run_and_kill("toolkit.serving.save:write_json", 1, cache, [*arguments, "--resume"])
    assert left_runs(model) == [second]
    assert (second / "bundle" / "saved_model.pb").exists(), "it was being saved"
    assert versions(model) == []

    resumed = toolkit.finetune(images, models_dir=tmp_path / "models", resume=True, **SMALL)
    assert os.listdir(model) == ["1"]
    assert resumed.metrics == finished.metrics
    for name in ("splits.csv", "predictions.csv", "history.csv"):
        assert read(resumed, name) == read(finished, name), "as if nothing had happened"


def test_killed_in_an_epoch_it_goes_on_to_the_same_end(images, tmp_path, monkeypatch):
    options = {"monitor": "accuracy", "min_delta": 0.01, "time_budget": "5h"}
    saved = []
    monkeypatch.setattr(
        sys.modules["toolkit.finetuning"], "save_bundle", lambda *a: saved.append(a[0])
    )
    more = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    arguments = command_line(images, tmp_path / "models", "--engine=keras", *more)
    place = "toolkit.training.loss_guard:LossGuard.on_train_batch_end"
    run_and_kill(place, 5, os.environ["TOOLKIT_CACHE"], arguments)  # An epoch is three.
    assert len(left_runs(tmp_path / "models" / "colours")) == 1

    asked = SMALL | options | {"engine": "keras"}
    for folder, resume in (("models", True), ("others", False)):
        toolkit.finetune(images, models_dir=tmp_path / folder, resume=resume, **asked)
    resumed, whole = saved
    assert resumed.history == whole.history and resumed.metrics == whole.metrics
    assert resumed.run["best_epoch"] == whole.run["best_epoch"]
    assert whole.run["ended"] is None and len(whole.history) == SMALL["epochs"]
    for one, two in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(resumed.test_probabilities, whole.test_probabilities)


def test_ctrl_c_is_prompt_and_can_be_resumed(images, tmp_path, cache):
    models = tmp_path / "models"
    more = ["--epochs=1000", "--patience=1000", "--unfreeze=0", "--engine=openvino-float32"]
    process = start(cache, *command_line(images, models, *more))
    wait_until(lambda: [*models.glob("colours/.unfinished-*/state.npz")], process)
    process.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - interrupted < 10
    assert process.returncode == 130
    assert output == ""
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert last == "Interrupted. finetune goes on from there with --resume."
    [left] = left_runs(models / "colours")
    with np.load(left / "state.npz") as state:
        done = len(json.loads(str(state["record"]))["history"])
    assert 0 < done < 1000
    assert versions(models / "colours") == []


def test_two_runs_at_once_both_succeed(images, tmp_path):
    model = tmp_path / "models" / "colours"
    # The converted network is larger than the cache, from which one run evicts what the other uses.
    more = ["--epochs=0", "--engine=openvino-float32", "--cache-size=10MB"]
    arguments = command_line(images, tmp_path / "models", *more)
    processes = [start(tmp_path / "cache", *arguments, how) for how in ("--json", "--quiet")]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(os.listdir(model)) == ["1", "2"]
    first, second = (find_bundle(model / str(version)) for version in (1, 2))
    assert first.read("metrics.json") == second.read("metrics.json")
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) <= 10_000_000

    [(as_json, progress), (for_people, silence)] = outputs
    result = json.loads(as_json)
    assert result["path"] in (str(first.path), str(second.path))
    assert "Probe, " in progress
    assert silence == ""
    assert f"{result['test']['accuracy']:.2%}" in for_people
    *_, saved, following = for_people.splitlines()
    assert saved.startswith("Saved: ") and following.startswith("Next:  toolkit predict ")


def test_a_disk_that_fills_while_features_and_bundle_are_written(
    small_disk, images, monkeypatch, caplog
):
    cache, models = small_disk("cache", "64k"), small_disk("models", "24m")
    monkeypatch.setenv("TOOLKIT_CACHE", str(cache))
    options = SMALL | {"epochs": 0, "engine": "openvino-float32"}
    with pytest.raises(DiskFullError, match="while the bundle was written to") as caught:
        toolkit.finetune(images, models_dir=models, **options)
    assert str(models / "colours") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "toolkit"]
    said = [message for message in said if "is not used for" not in message]
    assert 1 <= len(said) <= 8, "one of each converted network, and of each set of features"
    for message in said:
        assert "The cache cannot be written (" in message and "going on without it" in message
    assert not list(cache.rglob(".writing-*"))
    model = models / "colours"
    assert versions(model) == []
    assert [path.name for path in left_runs(model)[0].iterdir() if path.is_dir()] == []
    assert shutil.disk_usage(models).used < 1 << 20, "nothing half made takes up its room"

    small_disk("models", "200m")
    result = toolkit.finetune(images, models_dir=models, resume=True, **options)
    assert os.listdir(model) == ["1"]
    assert result.run["features_computed"] == 60
    find_bundle(result.path)


def test_a_disk_that_fills_while_the_state_is_written(small_disk, images):
    models = small_disk("models", "512k")
    options = SMALL | {"unfreeze": 1, "epochs": 1}
    with pytest.raises(DiskFullError, match="while the state of the training was written"):
        toolkit.finetune(images, models_dir=models, **options)
    assert versions(models / "colours") == []
    assert not list(models.rglob(".writing-*"))


def test_a_disk_without_any_room(small_disk, images):
    models = small_disk("models", "32k")
    with contextlib.suppress(OSError):
        (models / "filler").write_bytes(bytes(1 << 20))
    with pytest.raises(DiskFullError, match="the run's options"):
        toolkit.finetune(images, models_dir=models, **SMALL)
    assert os.listdir(models) == ["filler"]


def test_a_disk_that_fills_while_an_evaluation_is_written(small_disk, finished, tmp_path):
    folder = small_disk("evaluation", "16k")
    write_images(tmp_path / "data", 3, first_seed=9000)
    with pytest.raises(DiskFullError, match="while the evaluation was written"):
        toolkit.evaluate(finished.path, tmp_path / "data", output=folder / "out", quiet=True)
