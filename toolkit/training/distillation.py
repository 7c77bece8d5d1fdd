"""Distillation: a network learns from what another, or an ensemble, says of its images."""

from collections.abc import Callable
from typing import Any

from toolkit.errors import OptionError

SHARE, TEMPERATURE = 0.5, 2.0
"""By default, of what is minimized and of the teacher's probabilities."""

LEAST = 1e-7
"""Probabilities of the teacher below it are raised to it: their logarithms are needed."""


def check_distillation(teacher: str | None, share: float, temperature: float, mix: bool) -> None:
    """Refuses what a teacher cannot be combined with, and numbers out of their range.

    Raises:
        OptionError: See above.
    """
    if not 0 < share <= 1:
        raise OptionError("--teacher-share", "above 0 and at most 1", share)
    if not 1 <= temperature <= 100:
        raise OptionError("--teacher-temperature", "from 1 to 100", temperature)
    if teacher is None and (share, temperature) != (SHARE, TEMPERATURE):
        name, value = "--teacher-share", share
        if share == SHARE:
            name, value = "--teacher-temperature", temperature
        raise OptionError(name, "left out without --teacher", value)
    if teacher is not None and mix:
        rule = "left out with --mix: the teacher has seen the images, not their mixtures"
        raise OptionError("--teacher", rule, teacher)


def distilled(
    loss: Callable[[Any, Any], Any], share: float, temperature: float
) -> Callable[[Any, Any], Any]:
    """Makes a loss that asks for the labels, and for what a teacher says of the images.

    Args:
        loss: Of labels as shares of classes float32 [B, K] and logits [B, K]: floats [B], in nats.
        share: The teacher's, 0 to 1.
        temperature: Both distributions are softened by it: T, at least 1.

    Returns:
        A function of targets float32 [B, 2K], the labels' shares and beside them the teacher's
        probabilities, and logits [B, K]. It gives, floats [B],
        (1 - share) loss + share T^2 KL(teacher softened || network softened).

    See Hinton et al. 2015, "Distilling the Knowledge in a Neural Network".
    """
    from keras import ops  # Only now: options are checked without Keras.

    def both(targets: Any, logits: Any) -> Any:
        classes = logits.shape[-1]
        taught = ops.cast(targets[:, classes:], logits.dtype)
        expected = ops.log_softmax(ops.log(ops.maximum(taught, LEAST)) / temperature)
        given = ops.log_softmax(logits / temperature)
        divergence = ops.sum(ops.exp(expected) * (expected - given), axis=-1)
        soft = share * temperature**2 * divergence
        return (1 - share) * loss(targets[:, :classes], logits) + soft

    return both
