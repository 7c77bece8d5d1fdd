"""What is trained, asked for in the main job."""

import toolkit
from tests.conftest import SMALL


def test_stages_are_named_and_unfrozen_gradually(images, finished, tmp_path):
    asked = {"unfreeze": "block7", "unfreeze_gradually": True, "stage_factor": 0.5}
    asked |= {"train_batchnorm": True, "epochs": 2}
    run = toolkit.finetune(images, models_dir=tmp_path, **SMALL | asked).run

    assert run["options"] | asked == run["options"], "as they were asked for"
    assert run["trained_stages"] == finished.run["trained_stages"] == ["block7", "top"]
    assert run["trained_from_epoch"] == {"block7": 2, "top": 1}
    assert finished.run["trained_from_epoch"] == {"block7": 1, "top": 1}
