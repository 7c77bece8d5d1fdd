import dataclasses
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from toolkit.data.source import Source
from toolkit.errors import OptionError, UnknownNameError
from toolkit.option_checks import count_unfrozen, model_name
from toolkit.options import FinetuneOptions

GOOD = FinetuneOptions(
    data=Source("images"),
    crop="center",
    normalize="backbone",
    backbone="resnet50",
    weights="imagenet",
    image_size=None,
    split=(0.7, 0.15, 0.15),
    calibrate=False,
    reject_below=0.0,
    unfreeze=2,
    unfreeze_gradually=False,
    stage_factor=1.0,
    train_batchnorm=False,
    epochs=8,
    batch_size=32,
    learning_rate=3e-4,
    monitor="calibrated-loss",
    min_delta=0.0,
    patience=3,
    time_budget=None,
    tensorboard=None,
    dropout=0.2,
    weight_decay=1e-3,
    optimizer="adamw",
    schedule="cosine",
    warmup=None,
    clip_norm=1.0,
    ema=0.0,
    swa=0.0,
    loss="cross-entropy",
    label_smoothing=0.0,
    precision="float32",
    head="linear",
    head_layers=None,
    head_width=None,
    activation=None,
    head_batchnorm=False,
    initializer=None,
    l1=0.0,
    l2=None,
    pooling="avg",
    augment="light",
    mix="none",
    imbalance="none",
    views=None,
    teacher=None,
    teacher_share=0.5,
    teacher_temperature=2.0,
    engine="auto",
    cache_size=20 * 10**9,
    max_pixels=10**8,
    seed=0,
)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("split", (0.5, 0.5), "--split must be auto, or three positive shares"),
        ("epochs", -1, "--epochs must be a whole number from 0 to 2,147,483,647. Received: -1"),
        ("epochs", 1.5, "--epochs must be a whole number from 0 to 2,147,483,647. Received: 1.5"),
        ("epochs", True, "--epochs must be a whole number"),
        (
            "batch_size",
            0,
            "--batch-size must be a whole number from 1 to 2,147,483,647. Received: 0",
        ),
        ("patience", 0, "--patience must be a whole number from 1 to 2,147,483,647. Received: 0"),
        ("seed", -1, "--seed must be a whole number from 0 to 2,147,483,647. Received: -1"),
        ("seed", 2**31, "--seed must be a whole number from 0 to 2,147,483,647."),
        (
            "learning_rate",
            0,
            "--learning-rate must be above 0 and at most 1,000,000,000, or auto. Received: 0",
        ),
        ("learning_rate", -1e-3, "--learning-rate must be above 0 and at most 1,000,000,000"),
        ("learning_rate", 1e10, "--learning-rate must be above 0 and at most 1,000,000,000"),
        ("learning_rate", float("nan"), "--learning-rate must be above 0 and at most 1,000"),
        ("learning_rate", "fast", "or auto. Received: 'fast'"),
        (
            "monitor",
            "f1",
            "--monitor must be one of calibrated-loss, loss, accuracy. Received: 'f1'",
        ),
        ("min_delta", -0.1, "--min-delta must be from 0 to 1,000. Received: -0.1"),
        ("dropout", 1.0, "--dropout must be from 0 up to, not including, 1. Received: 1.0"),
        ("dropout", -0.1, "--dropout must be from 0 up to, not including, 1. Received: -0.1"),
        ("stage_factor", 0, "--stage-factor must be above 0 and at most 1. Received: 0"),
        ("stage_factor", 1.5, "--stage-factor must be above 0 and at most 1. Received: 1.5"),
        ("weight_decay", -0.1, "--weight-decay must be from 0 to 1. Received: -0.1"),
        ("weight_decay", float("inf"), "--weight-decay must be from 0 to 1. Received: inf"),
        ("warmup", 1.5, "--warmup must be from 0 to 1. Received: 1.5"),
        ("clip_norm", -1.0, "--clip-norm must be 0 or more. Received: -1.0"),
        ("ema", 1.0, "--ema must be from 0 up to, not including, 1. Received: 1.0"),
        ("swa", 1.0, "--swa must be from 0 up to, not including, 1. Received: 1.0"),
        ("label_smoothing", 1.0, "--label-smoothing must be from 0 up to, not including, 1."),
        (
            "precision",
            "half",
            "--precision must be one of auto, float32, mixed_bfloat16, mixed_float16. "
            "Received: 'half'",
        ),
        ("loss", "hinge", "--loss must be one of cross-entropy, focal. Received: 'hinge'"),
        ("views", -1, "--views must be a whole number from 0 to 2,147,483,647. Received: -1"),
        ("views", 1.5, "--views must be a whole number from 0 to 2,147,483,647. Received: 1.5"),
        (
            "mix",
            "blend",
            "--mix must be one of none, mixup, cutmix, mixup+cutmix. Received: 'blend'",
        ),
        (
            "imbalance",
            "even",
            "--imbalance must be one of none, auto, logit-adjustment, class-weights, resample.",
        ),
        ("reject_below", 1, "--reject-below must be a number from 0 up to, not including, 1."),
        ("reject_below", -0.1, "--reject-below must be a number from 0 up to, not including, 1."),
        ("reject_below", float("nan"), "--reject-below must be a number from 0 up to"),
        ("reject_below", "half", "--reject-below must be a number from 0 up to"),
        ("reject_below", True, "--reject-below must be a number from 0 up to"),
        ("max_pixels", 0, "--max-pixels must be from 1 to 178,956,970. Received: 0"),
        ("max_pixels", 10**9, "--max-pixels must be from 1 to 178,956,970. Received: 1000000000"),
    ],
)
def test_an_impossible_value_is_refused_with_the_rule(name, value, rule):
    with pytest.raises(OptionError) as error:
        dataclasses.replace(GOOD, **{name: value})
    assert rule in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("patience", 1),
        ("learning_rate", 10**9),
        ("learning_rate", "auto"),
        ("learning_rate", None),
        ("monitor", "accuracy"),
        ("min_delta", 0),
        ("dropout", 0),
        ("dropout", 0.99),
        ("stage_factor", 1),
        ("weight_decay", 0),
        ("weight_decay", 1),
        ("views", 0),
        ("views", None),
        ("cache_size", 0),
        ("reject_below", 0),
        ("reject_below", 0.999),
        ("max_pixels", 1),
        ("max_pixels", 178_956_970),
        ("seed", 2**31 - 1),
    ],
)
def test_the_ends_of_a_range_belong_to_it(name, value):
    assert getattr(dataclasses.replace(GOOD, **{name: value}), name) == value


def test_pillow_reads_the_largest_image_that_may_be_admitted():
    from PIL import Image

    from toolkit.options import LARGEST_IMAGE

    assert 2 * Image.MAX_IMAGE_PIXELS == LARGEST_IMAGE


def test_cached_views_are_refused_where_images_are_mixed():
    for views in (None, 0):
        assert dataclasses.replace(GOOD, mix="cutmix", views=views).views == views
    with pytest.raises(OptionError) as error:
        dataclasses.replace(GOOD, mix="cutmix", views=2)
    assert str(error.value) == (
        "--views must be 0 or left out with --mix cutmix, which mixes other images in each epoch. "
        "Received: 2"
    )


@pytest.mark.parametrize("unfreeze", [0, "none"])
@pytest.mark.parametrize(
    ("option", "value"),
    [("unfreeze_gradually", True), ("stage_factor", 0.5), ("train_batchnorm", True)],
)
def test_what_is_about_trained_stages_needs_some(unfreeze, option, value):
    with pytest.raises(OptionError) as error:
        dataclasses.replace(GOOD, unfreeze=unfreeze, **{option: value})
    assert str(error.value) == (
        f"--{option.replace('_', '-')} must be left out with --unfreeze none, which trains the "
        f"head alone. Received: {value!r}"
    )


def test_a_resumed_run_may_be_calibrated_otherwise():
    assert dataclasses.replace(GOOD, calibrate=True, reject_below=0.5).compared == GOOD.compared
    assert dataclasses.replace(GOOD, seed=1).compared != GOOD.compared


def test_a_plateau_needs_patience():
    assert dataclasses.replace(GOOD, schedule="plateau", patience=3).patience == 3
    with pytest.raises(OptionError) as error:
        dataclasses.replace(GOOD, schedule="plateau", patience=2)
    assert str(error.value) == (
        "--patience must be above 2 with --schedule plateau, which lowers the rate after 2 epochs. "
        "Received: 2"
    )


@pytest.mark.parametrize("option", ["optimizer", "schedule"])
def test_an_unknown_name_is_refused(option):
    with pytest.raises(UnknownNameError, match=f"There is no {option} 'fast'"):
        dataclasses.replace(GOOD, **{option: "fast"})


STAGES = ["stem", "stage1", "top"]


@pytest.mark.parametrize(
    ("unfreeze", "count"),
    [(0, 0), (1, 1), (3, 3), ("none", 0), ("all", 3), ("stem", 3), ("stage1", 2), ("top", 1)],
)
def test_stages_are_unfrozen_by_number_or_name(unfreeze, count):
    assert count_unfrozen(unfreeze, STAGES) == count


@pytest.mark.parametrize("unfreeze", [4, -1, 1.5, True])
def test_more_stages_than_there_are_cannot(unfreeze):
    with pytest.raises(OptionError, match="--unfreeze") as error:
        count_unfrozen(unfreeze, STAGES)
    if unfreeze == 4:
        assert "at most 3, the backbone's stages (stem, stage1, top)" in str(error.value)


def test_an_unknown_stage_gets_the_nearest_names():
    with pytest.raises(UnknownNameError) as error:
        count_unfrozen("stge1", STAGES)
    assert str(error.value) == (
        "There is no stage 'stge1'. Did you mean: stage1, stem? "
        "--unfreeze takes none, all, a number, or one of stem, stage1, top."
    )


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        (None, "images", "images"),
        (None, "./data/My Photos (2019)/", "My-Photos-2019"),
        (None, "sample:digits", "digits"),
        (None, "/", "classifier"),
        (None, "/data/.hidden", "hidden"),
        (None, "/data/Möwen", "Möwen"),
        ("birds-v2.1", "images", "birds-v2.1"),
    ],
)
def test_a_models_name(name, data, expected):
    assert model_name(name, data) == expected


def test_a_models_name_out_of_here(tmp_path, monkeypatch):
    (tmp_path / "shells").mkdir()
    monkeypatch.chdir(tmp_path / "shells")
    assert model_name(None, ".") == "shells"
    monkeypatch.setenv("HOME", str(tmp_path / "shells"))
    assert model_name(None, "~") == "shells"


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a b", "-dash", "new\nline"])
def test_a_name_that_is_no_plain_folders_is_refused(name):
    with pytest.raises(OptionError, match="--name must be letters"):
        model_name(name, "images")


def test_names_made_of_any_folder_are_names():
    for data in ["_x", "--", "a\nb", "é", "x" * 30, "1", "...", " lead", "[a]"]:
        made = model_name(None, "/data/" + data)
        assert model_name(made, "images") == made


def test_it_is_light():
    code = (
        "import sys, toolkit.files, toolkit.options\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("other", "rule"),
    [
        (
            {"ema": 0.9},
            "--swa must be left out with --ema, which is another average. Received: 0.2",
        ),
        ({"schedule": "plateau", "patience": 5}, "left out with --schedule plateau, which has no"),
        (
            {"train_batchnorm": True},
            "--train-batchnorm, whose statistics would have to be measured",
        ),
        (
            {"head": "mlp", "head_batchnorm": True},
            "left out with --head-batchnorm, whose statistic",
        ),
    ],
)
def test_the_mean_of_the_last_epochs_excludes_what_it_would_break(other, rule):
    dataclasses.replace(GOOD, **other)
    with pytest.raises(OptionError) as error:
        dataclasses.replace(GOOD, swa=0.25, **other)
    assert rule in str(error.value)
