import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import toolkit
from tests.bundles import PREPARATION, make_bundle, make_trained
from tests.conftest import SMALL
from toolkit.data.table import TRAIN
from toolkit.errors import OptionError
from toolkit.progress import Reporter
from toolkit.serving.loaded import Classifier
from toolkit.teaching import FILE, teach

QUIET = Reporter(quiet=True)
SHARES = (0.5, 0.25, 0.25)


@pytest.fixture(scope="module")
def teacher(images, tmp_path_factory):
    """A classifier that has the classes in another order."""
    classes = ["red", "blue", "green"]
    return make_bundle(tmp_path_factory.mktemp("teacher") / "teacher", images, classes=classes)


@pytest.fixture(scope="module")
def table(images):
    return make_trained(images, preparation=PREPARATION).table


def test_what_it_says_is_of_each_training_image_in_the_order_of_the_classes(
    teacher, table, tmp_path
):
    said = teach(str(teacher), table, tmp_path, QUIET)
    train, classifier = table.split(TRAIN), Classifier(teacher)
    assert (said.shape, said.dtype) == ((len(train), 3), np.float32)
    predictions = classifier.predict([train.file(row) for row in range(len(train))])
    for row, prediction in enumerate(predictions):
        by_name = dict(zip(classifier.classes, prediction.probabilities, strict=True))
        expected = [by_name[name] for name in table.classes]
        np.testing.assert_allclose(said[row], expected, atol=1e-6)


def test_a_training_with_a_teacher_becomes_more_like_it(finished, images, tmp_path):
    """The teacher takes every class for another."""
    options = {**SMALL, "unfreeze": "none", "learning_rate": 0.1, "epochs": 2, "views": 1}
    turned = shutil.copytree(finished.path, tmp_path / "turned")
    record = json.loads((turned / "assets.extra" / "run.json").read_text())
    record["classes"] = [*record["classes"][1:], record["classes"][0]]
    (turned / "assets.extra" / "run.json").write_text(json.dumps(record))
    models = tmp_path / "models"
    pupil = toolkit.finetune(
        images, models_dir=models, name="pupil", teacher=turned, teacher_share=1.0, **options
    )
    assert pupil.run["options"]["teacher"] == str(turned)
    history = read_history(pupil)
    assert history[-1]["val_accuracy"] < 0.3, "it says what the teacher says"
    assert pupil.metrics["chosen"] == "probe", "and validation is judged by the labels"


def read_history(result):
    with open(result.path / "assets.extra" / "history.csv", newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_a_resumed_run_does_not_ask_again(teacher, table, tmp_path):
    np.save(tmp_path / FILE, np.full((2, 3), 7, np.float32))
    np.testing.assert_array_equal(teach("no such model", table, tmp_path, QUIET), 7)


def test_one_that_has_seen_the_test_images_is_refused(teacher, images, tmp_path):
    other = make_trained(images, preparation=PREPARATION, split_seed=1).table
    with pytest.raises(OptionError, match=r"not seen the test images, and it has seen \d+ of them"):
        teach(str(teacher), other, tmp_path, QUIET)
    assert not (tmp_path / FILE).exists()


def test_one_that_knows_other_classes_is_refused(teacher, table, tmp_path):
    renamed = replace(table, classes=["blue", "grey", "red"])
    with pytest.raises(OptionError, match="only one of the two knows 'green', 'grey'"):
        teach(str(teacher), renamed, tmp_path, QUIET)
