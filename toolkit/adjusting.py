"""`--imbalance logit-adjustment`: what is kept comes to take all classes to be equally frequent."""

from dataclasses import replace

import numpy as np

from toolkit.calibrating import validation_of
from toolkit.choosing import Choice
from toolkit.classifier.model import lower_logits
from toolkit.data.table import TRAIN, VALIDATION
from toolkit.ensembles.average import log_probabilities, softmax
from toolkit.ensembles.calibration import TINY
from toolkit.ensembles.logit_adjustment import fit_adjustment
from toolkit.evaluation.validation import measure_validation
from toolkit.preparing import Tunable
from toolkit.progress import Reporter
from toolkit.training.imbalance import AUTO, log_priors


def adjust_choice(prepared: Tunable, choice: Choice, reporter: Reporter) -> Choice:
    """Lowers the logits of what is kept by how frequent their classes are in training.

    A network that is trained on uneven classes learns how probable a class is among images as
    uneven; less the logarithm of the class's share, logits know only how its images look. How many
    times the logarithm, `fit_adjustment` finds on validation. With `--imbalance auto` the logits
    stay where the gain is not sure there: networks differ in how far they took the shares in, and
    where they hardly did, to adjust them is a matter of chance.

    Args:
        prepared: What training started from.
        choice: What is kept; its model is changed, in the bias of the head's last layer.
        reporter: Shows how far it is, and says what was done.

    Returns:
        The choice with what its logits were lowered by, and what it gives for validation now; the
        same choice where the options ask for something else.
    """
    train = prepared.table.split(TRAIN)
    priors = log_priors(prepared.options.imbalance, train.labels, len(train.classes))
    if priors is None:
        return choice
    table, before = prepared.table.split(VALIDATION), validation_of(prepared, choice, reporter)
    found = fit_adjustment(table.labels, before, priors)
    if prepared.options.imbalance == AUTO and not found.is_sure:
        reporter.say(f"Logits stay as they are, as the gain may be chance: {found}.")
        return replace(choice, adjustment=found, validation=before)
    reporter.say(f"Logits are adjusted: {found}.")
    lower_logits(choice.model, found.lowered)
    after = softmax(log_probabilities(before, TINY) - found.lowered).astype(np.float32)
    metrics = measure_validation(table.labels, after, table.classes)
    return replace(
        choice, adjustment=found, lowered=found.lowered, validation=after, metrics=metrics
    )
