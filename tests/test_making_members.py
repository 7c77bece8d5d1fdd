"""Several trainings as one command, and their ensemble."""

import csv
import os
import re
import sys

import numpy as np
import pytest

import toolkit
from tests.test_robustness import left_runs
from tests.tiny import TINY
from toolkit.errors import MemberError, OptionError, ToolkitError, UnknownNameError
from toolkit.result import FinetuneResult
from toolkit.serving.bundle import Bundle

pytestmark = pytest.mark.usefixtures("tiny")

PROBES = {**TINY, "epochs": 0}
"""Members that take a second each."""


def options_of(**changes):
    options = {**PROBES, **changes}
    return {"backbones": [options.pop("backbone")], **options}


def rows(result, name):
    with open(result.path / "assets.extra" / name, newline="") as file:
        return list(csv.DictReader(file))


def members_of(result):
    return [toolkit.load(member["path"]) for member in result.run["members"]]


@pytest.fixture(scope="module")
def folded(images, tmp_path_factory):
    models = tmp_path_factory.mktemp("folded")
    return toolkit.finetune_members(images, folds=2, models_dir=models, **options_of())


def test_each_fold_validates_another_part_and_all_have_the_same_test_images(folded):
    members = members_of(folded)
    names = [member.bundle.name for member in members]
    assert names == [f"colours-fold-{number}/1" for number in (1, 2)]
    splits = [rows_of_member(member) for member in members]
    tests = [{path for path, split in each.items() if split == "test"} for each in splits]
    assert tests[0] == tests[1] != set()
    validated = [path for each in splits for path, split in each.items() if split == "validation"]
    assert sorted(validated) == sorted(splits[0].keys() - tests[0]), "each image once"
    assert members[0].run["member_of"]["folds"] == 2


def rows_of_member(member):
    with open(member.bundle.extra / "splits.csv", newline="") as file:
        return {row["path"]: row["split"] for row in csv.DictReader(file)}


def test_the_out_of_fold_predictions_are_each_members_own_of_its_validation(folded):
    predicted = {row["path"]: row for row in rows(folded, "out_of_fold.csv")}
    correct = 0
    for member in members_of(folded):
        splits = rows_of_member(member)
        own = [path for path, split in splits.items() if split == "validation"]
        files = [os.path.join(member.run["data"]["root"], path) for path in own]
        for path, prediction in zip(own, member.predict(files), strict=True):
            row = predicted.pop(
                os.path.relpath(
                    os.path.join(member.run["data"]["root"], path), folded.run["data"]["root"]
                )
            )
            said = [float(row[name]) for name in member.classes]
            np.testing.assert_allclose(said, prediction.probabilities, atol=1e-6)
            correct += prediction.label == row["label"]
    assert predicted == {}
    figures = folded.metrics["out_of_fold"]
    assert figures["accuracy"] == pytest.approx(correct / figures["n"])
    assert folded.metrics["validation"] is None, "no image is validation for all"


@pytest.fixture
def made(members, monkeypatch):
    """The jobs that were run: in the place of each member's training, one that is there already."""
    jobs = []

    def run(job, read, clock, reporter):
        jobs.append((job, read()))
        path = members[(len(jobs) - 1) % len(members)]
        return [FinetuneResult(Bundle(path), {})]

    monkeypatch.setattr(sys.modules["toolkit.making_members"], "run_job", run)
    return jobs


def make(images, models, **asked):
    return toolkit.finetune_members(images, "both", models_dir=models, **{**options_of(), **asked})


def test_there_is_one_training_for_each_network_fold_and_seed(images, tmp_path, made):
    tiny, other = "tiny", "resnet50"
    with pytest.raises(MemberError, match="twice"):  # Of 8 members, some are the same here.
        make(images, tmp_path, backbones=[tiny, other], folds=2, seeds=2)
    assert [job.folder.name for job, _ in made] == [
        f"both-{backbone}-fold-{fold}-seed-{seed}"
        for backbone in (tiny, other)
        for fold in (1, 2)
        for seed in (7, 8)
    ]
    assert [job.options.backbone for job, _ in made] == [tiny] * 4 + [other] * 4
    assert [job.options.seed for job, _ in made] == [7, 8] * 4
    splits = [tuple(table.splits) for _, table in made]
    assert splits[0] == splits[1] == splits[4] == splits[5]
    assert splits[2] == splits[3] == splits[6] == splits[7] != splits[0]


def test_seeds_have_the_splits_of_the_first(images, tmp_path, made):
    make(images, tmp_path, seeds=2)
    [(first, one), (second, other)] = made
    assert (first.options.seed, second.options.seed) == (7, 8)
    assert (one.splits == other.splits).all() and one.given == ("train", "validation", "test")
    assert second.member_of["split_seed"] == 7


def test_time_and_log_are_shared_out(images, tmp_path, made):
    make(images, tmp_path, seeds=2, time_budget="100s", tensorboard=tmp_path / "log")
    budgets = [job.options.time_budget for job, _ in made]
    assert 40 < budgets[0] <= 50 and 80 < budgets[1] <= 100, "what one leaves, the next may use"
    logs = [job.options.tensorboard for job, _ in made]
    assert logs == [str(tmp_path / "log" / f"seed-{seed}") for seed in (7, 8)]


def test_folds_are_calibrated_each_on_its_own_and_others_together(images, tmp_path, made):
    folds = make(images, tmp_path, folds=2, calibrate=True, reject_below=0.5)
    seeds = make(images, tmp_path, seeds=2, calibrate=True)
    assert [job.options.calibrate for job, _ in made] == [True, True, False, False]
    assert [job.options.reject_below for job, _ in made] == [0.0] * 4
    assert folds.metrics["calibration"]["temperature"] == 1
    assert seeds.metrics["calibration"]["temperature"] != 1
    assert folds.run["reject_below"] == 0.5


def test_finished_members_stay_where_a_run_is_resumed(images, tmp_path, made, monkeypatch):
    module = sys.modules["toolkit.making_members"]
    run = module.run_job

    def interrupted(job, *others):
        if made:
            raise KeyboardInterrupt
        return run(job, *others)

    with monkeypatch.context() as patch:
        patch.setattr(module, "run_job", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(images, tmp_path, folds=2)
    assert len(left_runs(tmp_path / "both")) == 1
    found = make(images, tmp_path, folds=2, resume=True)
    assert [job.folder.name for job, _ in made] == ["both-fold-1", "both-fold-2"]
    assert [job.resume for job, _ in made] == [False, True]
    assert len(found.run["members"]) == 2 and left_runs(tmp_path / "both") == []


@pytest.fixture(scope="module")
def snapshots(images, tmp_path_factory):
    models = tmp_path_factory.mktemp("snapshots")
    options = options_of(epochs=2, learning_rate=1e-3)
    return toolkit.finetune_members(images, snapshots=2, models_dir=models, **options)


def test_snapshots_are_of_one_run_whose_rate_falls_as_often(snapshots):
    members = members_of(snapshots)
    assert [member.bundle.name for member in members] == [
        "colours-snapshot-1/1",
        "colours-snapshot-2/1",
    ]
    assert sorted(os.listdir(snapshots.path.parent.parent)) == [
        "colours",
        "colours-snapshot-1",
        "colours-snapshot-2",
    ]
    first, second = (member.model.get_weights() for member in members)
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
    for member in members:
        assert member.run["options"]["schedule"] == "cosine-cycles-2"
        assert member.run["options"]["warmup"] is None, "each cycle has its own"
        assert member.metrics["chosen"] == "snapshot"
        assert re.search("the snapshot gives .*, the probe ", member.metrics["why"])
    with open(members[0].bundle.extra / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    rates = [float(row["learning_rate"]) for row in history]
    assert rates == pytest.approx([1e-3, 0]), "where one has ended, the next cycle begins"
    for member, row in zip(members, history, strict=True):
        measured = member.metrics["validation"]["accuracy"]
        assert measured == pytest.approx(float(row["val_accuracy"]), abs=0.1)


@pytest.mark.parametrize(
    ("asked", "error", "rule"),
    [
        ({}, MemberError, "2 to 100 in number"),
        ({"folds": 1}, OptionError, "--folds must be a whole number from 2"),
        ({"seeds": 0}, OptionError, "--seeds must be a whole number from 1"),
        ({"folds": 40, "seeds": 3}, MemberError, "Received: 120"),
        ({"folds": 30}, OptionError, "--folds must be at most"),
        ({"backbones": ["resnet50", "resnet50"]}, OptionError, "different networks"),
        ({"backbones": ["resnet50", "resnet"]}, UnknownNameError, "resnet50"),
        ({"snapshots": 2, "epochs": 3}, OptionError, "a multiple of --snapshots 2"),
        ({"snapshots": 2, "epochs": 0}, OptionError, "a multiple of --snapshots 2"),
        ({"snapshots": 2, "epochs": 2, "swa": 0.5}, OptionError, "left out with --snapshots"),
        ({"snapshots": 2, "schedule": "step"}, OptionError, "left out, or cosine"),
    ],
)
def test_bad_input(images, tmp_path, asked, error, rule):
    with pytest.raises(error, match=rule):
        toolkit.finetune_members(images, models_dir=tmp_path, **{**options_of(), **asked})
    assert issubclass(error, ToolkitError)
    assert list(tmp_path.iterdir()) == []
