"""`--imbalance logit-adjustment`: what is kept comes to take all classes to be equally frequent."""

from dataclasses import replace

import numpy as np

from toolkit.calibrating import fitted_temperature, validation_of
from toolkit.choosing import Choice
from toolkit.classifier.model import lower_logits
from toolkit.data.table import TRAIN, VALIDATION
from toolkit.ensembles.average import log_probabilities, softmax
from toolkit.ensembles.calibration import TINY
from toolkit.evaluation.validation import measure_validation
from toolkit.preparing import Tunable
from toolkit.progress import Reporter
from toolkit.training.imbalance import log_priors


def adjust_choice(prepared: Tunable, choice: Choice, reporter: Reporter) -> Choice:
    """Lowers the logits of what is kept by how frequent their classes are in training.

    A network that is trained on uneven classes learns how probable a class is among images as
    uneven; less the logarithm of the class's share, logits know only how its images look (Menon
    et al. 2021, "Long-tail Learning via Logit Adjustment", 4.1). That holds for logits that are as
    sure as they are right. Those of a network that gets all its training images right are about
    twice too sure, and would be changed too little; so the logarithms are multiplied by the
    temperature that would calibrate them. The logits themselves are not divided by it.

    Args:
        prepared: What training started from.
        choice: What is kept; its model is changed, in the bias of the head's last layer.
        reporter: Shows how far it is.

    Returns:
        The choice with what its logits were lowered by, and what it gives for validation now; the
        same choice where the options ask for something else.
    """
    train = prepared.table.split(TRAIN)
    priors = log_priors(prepared.options.imbalance, train.labels, len(train.classes))
    if priors is None:
        return choice
    table, before = prepared.table.split(VALIDATION), validation_of(prepared, choice, reporter)
    lowered = (fitted_temperature(table, before) * priors).astype(np.float32)
    lower_logits(choice.model, lowered)
    after = softmax(log_probabilities(before, TINY) - lowered).astype(np.float32)
    metrics = measure_validation(table.labels, after, table.classes)
    return replace(choice, lowered=lowered, validation=after, metrics=metrics)
