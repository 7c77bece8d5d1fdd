"""What is trained, asked for in the main job."""

import pytest

import toolkit
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("tiny")


def test_stages_are_named_and_unfrozen_gradually(images, tmp_path):
    asked = {"unfreeze": "middle", "unfreeze_gradually": True, "stage_factor": 0.5}
    asked |= {"train_batchnorm": True, "epochs": 2}
    gradually = toolkit.finetune(images, models_dir=tmp_path, **TINY | asked).run
    at_once = toolkit.finetune(images, models_dir=tmp_path, **TINY | {"unfreeze": 2}).run

    assert gradually["options"] | asked == gradually["options"], "as they were asked for"
    assert gradually["trained_stages"] == at_once["trained_stages"] == ["middle", "top"]
    assert gradually["trained_from_epoch"] == {"middle": 2, "top": 1}
    assert at_once["trained_from_epoch"] == {"middle": 1, "top": 1}
