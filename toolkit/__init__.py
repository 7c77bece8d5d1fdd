"""Transfer-learning image classifier: from a folder of photos to a served model."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit import backbones, cache
    from toolkit.auditing import AuditResult, audit
    from toolkit.augmenting import AugmentResult, augment
    from toolkit.classifying import classify
    from toolkit.data.source import Source
    from toolkit.ensembles.average import average_probabilities
    from toolkit.ensembling import ensemble
    from toolkit.finding_lr import LearningRateSearch, find_lr
    from toolkit.job import finetune
    from toolkit.making_members import finetune_members
    from toolkit.result import ClassifyResult, EnsembleResult, SoupResult
    from toolkit.scheduling import draw_schedule
    from toolkit.serving.evaluate import Evaluation, evaluate
    from toolkit.serving.loaded import Classifier, load, predict
    from toolkit.serving.prediction import Prediction
    from toolkit.souping import soup
    from toolkit.splitting import SplitResult, split

__all__ = [
    "AuditResult",
    "AugmentResult",
    "Classifier",
    "ClassifyResult",
    "EnsembleResult",
    "Evaluation",
    "LearningRateSearch",
    "Prediction",
    "SoupResult",
    "Source",
    "SplitResult",
    "audit",
    "augment",
    "average_probabilities",
    "backbones",
    "cache",
    "classify",
    "draw_schedule",
    "ensemble",
    "evaluate",
    "find_lr",
    "finetune",
    "finetune_members",
    "load",
    "predict",
    "soup",
    "split",
]

_MODULES = {
    "AuditResult": "toolkit.auditing",
    "AugmentResult": "toolkit.augmenting",
    "Classifier": "toolkit.serving.loaded",
    "ClassifyResult": "toolkit.result",
    "EnsembleResult": "toolkit.result",
    "Evaluation": "toolkit.serving.evaluate",
    "LearningRateSearch": "toolkit.finding_lr",
    "Prediction": "toolkit.serving.prediction",
    "SoupResult": "toolkit.result",
    "Source": "toolkit.data.source",
    "SplitResult": "toolkit.splitting",
    "audit": "toolkit.auditing",
    "augment": "toolkit.augmenting",
    "average_probabilities": "toolkit.ensembles.average",
    "classify": "toolkit.classifying",
    "draw_schedule": "toolkit.scheduling",
    "ensemble": "toolkit.ensembling",
    "evaluate": "toolkit.serving.evaluate",
    "find_lr": "toolkit.finding_lr",
    "finetune": "toolkit.job",
    "finetune_members": "toolkit.making_members",
    "load": "toolkit.serving.loaded",
    "predict": "toolkit.serving.loaded",
    "soup": "toolkit.souping",
    "split": "toolkit.splitting",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: Keras and TensorFlow take seconds."""
    if name in ("backbones", "cache"):
        return importlib.import_module(f"toolkit.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
