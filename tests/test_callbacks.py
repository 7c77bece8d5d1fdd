"""What watches over training, in the whole job."""

import dataclasses
import sys
import traceback

import keras
import numpy as np
import pytest

import toolkit
from tests.conftest import SMALL
from toolkit import precision_search
from toolkit.errors import MissingPackageError, NotWritableError
from toolkit.serving.bundle import Bundle
from toolkit.training.ending import BAD_LOSS, BUDGET, CALLBACK

pytestmark = pytest.mark.slow

SMALLER = SMALL | {"unfreeze": 1, "epochs": 2, "engine": "keras"}


@pytest.fixture
def trained(monkeypatch):
    """Runs the job up to where it would save; gives what it would have saved."""
    saved = []

    def keep(what, working, folder, progress):
        saved.append(what)
        return Bundle(folder / "1")

    import toolkit.finetuning

    monkeypatch.setattr(sys.modules["toolkit.finetuning"], "save_bundle", keep)

    def run(images, folder, **options):
        toolkit.finetune(images, models_dir=folder, **SMALLER | options)
        return saved[-1]

    return run


def test_a_learning_rate_that_spoils_the_loss_leaves_the_probe(trained, images, tmp_path):
    asked = {"learning_rate": 1e6, "monitor": "accuracy", "min_delta": 0.01}
    found = trained(images, tmp_path, **asked, batch_size=2)
    assert found.run["ended"]["by"] == BAD_LOSS
    assert found.metrics["chosen"] == "probe"
    assert found.metrics["why"].startswith("no epoch of fine-tuning")
    assert found.metrics["validation"] == found.metrics["probe"]
    assert all(np.isfinite(weight).all() for weight in found.model.get_weights())
    assert np.isfinite(found.test_probabilities).all()
    assert {name: found.run["options"][name] for name in asked} == asked


def test_a_budget_that_is_too_short_leaves_the_probe_and_says_so(trained, images, tmp_path, capsys):
    found = trained(images, tmp_path, time_budget="1s", epochs=3, batch_size=1000, quiet=False)
    assert found.run["ended"]["by"] == BUDGET
    assert found.run["options"]["time_budget"] == 1
    assert found.metrics["why"] == (
        "no epoch of fine-tuning was finished: the time budget of 1s ended training before it began"
    )
    assert found.history == [] and found.metrics["chosen"] == "probe"
    said = " ".join(capsys.readouterr().err.split())
    assert "Training ended early: the time budget of 1s ended training before it began" in said
    count = found.run["data"]["images"]["train"]
    told = f"--batch-size 1000 is more than the {count} training images: each epoch is one step."
    assert told in said


class Faulty(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise ZeroDivisionError("of the user's own")


def test_a_callback_that_raises_leaves_a_bundle_and_a_run_to_resume(images, tmp_path, request):
    with pytest.raises(ZeroDivisionError) as caught:
        toolkit.finetune(images, models_dir=tmp_path, callbacks=[Faulty()], **SMALLER)

    bundle = tmp_path / "colours" / "1"
    text = "".join(traceback.format_exception(caught.value))
    assert "on_epoch_begin" in text and "raise ZeroDivisionError" in text
    assert f"What was best so far is saved: {bundle}." in text
    kept = toolkit.load(bundle)
    assert kept.run["ended"]["by"] == CALLBACK and kept.run["ended"]["epoch"] == 2
    assert len(kept.predict([next(images.rglob("*.jpg"))])) == 1
    trained = request.getfixturevalue("trained")  # From here on, nothing is saved.
    whole, resumed = trained(images, tmp_path / "whole"), trained(images, tmp_path, resume=True)
    assert resumed.history == whole.history and len(whole.history) == 2
    assert resumed.metrics == whole.metrics and resumed.run["ended"] is None
    rows = (bundle / "assets.extra" / "history.csv").read_text().splitlines()
    assert [float(rows[1].split(",")[k]) for k in (0, 1)] == [1, whole.history[0]["loss"]]


def test_an_automatic_learning_rate_is_the_one_that_the_search_suggests(trained, images, tmp_path):
    asked = {name: value for name, value in SMALLER.items() if name != "learning_rate"}
    found = toolkit.find_lr(images, tmp_path / "rates.png", steps=100, **asked)
    assert found.path.read_bytes().startswith(b"\x89PNG")
    automatic = trained(images, tmp_path / "auto", learning_rate="auto")
    assert automatic.run["learning_rate"] == {"value": found.suggestion, "why": found.why}
    assert automatic.run["options"]["learning_rate"] == "auto"
    given = trained(images, tmp_path / "given", learning_rate=found.suggestion)
    assert given.run["learning_rate"]["why"] == "it was given"
    assert given.history == automatic.history, "the search has left no trace"
    for one, two in zip(given.model.get_weights(), automatic.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_automatic_precision_leaves_no_trace_but_its_record(
    trained, images, tmp_path, monkeypatch
):
    def measured(step):
        step()  # As a real one, it changes weights, statistics and generators.
        return 0.2

    monkeypatch.setattr(precision_search, "seconds_of_a_step", measured)
    automatic = trained(images, tmp_path / "auto", precision="auto")
    assert automatic.run["precision"] == {
        "value": "float32",
        "why": "a step takes 0.2 s, and 0.2 s in mixed_bfloat16",
        "seconds": {"float32": 0.2, "mixed_bfloat16": 0.2},
    }
    given = trained(images, tmp_path / "given")
    assert given.run["precision"] == {"value": "float32", "why": "it was given"}
    assert given.history == automatic.history
    half = trained(images, tmp_path / "half", precision="mixed_bfloat16")
    assert half.history != given.history
    assert half.history[0]["loss"] == pytest.approx(given.history[0]["loss"], rel=0.5)


def test_the_search_takes_only_what_matters_to_it(images):
    with pytest.raises(TypeError, match="does not take finetune's option 'patience'"):
        toolkit.find_lr(images, patience=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'paticnce'"):
        toolkit.find_lr(images, paticnce=3)


def test_a_log_for_tensorboard(trained, images, tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", exc_type=ImportError
    )
    found = trained(images, tmp_path / "models", tensorboard=tmp_path / "log")

    def read(part):
        events = accumulator.EventAccumulator(str(tmp_path / "log" / part), {"tensors": 0})
        events.Reload()
        return events

    for part, names in {
        "train": {"loss": "loss", "accuracy": "accuracy", "learning_rate": "learning_rate"},
        "validation": {"loss": "val_loss", "accuracy": "val_accuracy"},
    }.items():
        events = read(part)
        for name, row in names.items():
            values = [
                float(np.frombuffer(each.tensor_proto.tensor_content, np.float32)[0])
                if each.tensor_proto.tensor_content
                else each.tensor_proto.float_val[0]
                for each in events.Tensors(f"epoch_{name}")
            ]
            assert values == pytest.approx([each[row] for each in found.history], rel=1e-6)
    shapes = {}
    for part, name in (("train", "augmented batch"), ("validation", "confusion matrix")):
        width, height, *pictures = read(part).Tensors(name)[0].tensor_proto.string_val
        shapes[name] = int(width), int(height)
        assert [picture[:4] for picture in pictures] == [b"\x89PNG"]
    assert shapes["augmented batch"] == (4 * 32, 4 * 32)
    assert min(shapes["confusion matrix"]) > 200


def test_tensorboard_that_is_not_installed(images, tmp_path, monkeypatch):
    find = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "tensorboard" else find(name)
    )
    with pytest.raises(MissingPackageError, match="pip install 'toolkit\\[tensorboard\\]'"):
        toolkit.finetune(images, models_dir=tmp_path, tensorboard=tmp_path / "log", **SMALLER)
    assert not (tmp_path / "colours").exists()


def test_a_log_that_cannot_be_written(images, tmp_path):
    (tmp_path / "log").write_text("a file")
    with pytest.raises(NotWritableError, match="--tensorboard must be a folder that can be writ"):
        toolkit.finetune(images, models_dir=tmp_path, tensorboard=tmp_path / "log", **SMALLER)
    assert not (tmp_path / "colours").exists()


def test_what_may_differ_is_not_compared_by_resume():
    from tests.test_options import GOOD

    other = dataclasses.replace(GOOD, time_budget=60.0, tensorboard="log")
    assert other.compared == GOOD.compared
    assert dataclasses.replace(GOOD, monitor="accuracy").compared != GOOD.compared
