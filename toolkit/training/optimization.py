"""How weights are trained: what is minimized, and by which steps."""

from dataclasses import dataclass

from toolkit.choices import check_choice
from toolkit.training.distillation import SHARE, TEMPERATURE
from toolkit.training.losses import CROSS_ENTROPY
from toolkit.training.optimizer_entries import ADAMW
from toolkit.training.schedules import COSINE

AUTO, FLOAT32, BFLOAT16, FLOAT16 = PRECISIONS = (
    "auto",
    "float32",
    "mixed_bfloat16",
    "mixed_float16",
)

CLIP_NORM = 1.0
"""It only meets the rare step that would undo what the network has learned."""


def check_precision(name: str) -> None:
    """Refuses what is no precision.

    Raises:
        OptionError: It is none.
    """
    check_choice("--precision", name, PRECISIONS)


@dataclass(frozen=True)
class Optimization:
    """What decides each step of the weights, but for the images and the gradients.

    Attributes:
        learning_rate: The highest, at the end of the warm-up.
        weight_decay: Decoupled, times the learning rate, in each step, whatever the optimizer.
        optimizer: One of `toolkit.training.optimizer_entries.OPTIMIZERS`.
        schedule: One of `toolkit.training.schedules.FALLS`.
        warmup: Share of the run, 0 to 1; None: the schedule's own.
        clip_norm: A step's gradients, all together, are shortened to it if they are longer; 0:
            they never are.
        ema: Momentum, 0 to 1, of a moving average of the weights that is kept beside them, and is
            what is validated and restored; 0: none.
        swa: Share of the run, at its end, over which the rate is constant, and the mean of the
            weights at the end of each epoch is what is validated and restored; 0: none.
        loss: What is minimized, one of `toolkit.training.losses.LOSSES`. Validation always measures
            plain cross-entropy.
        label_smoothing: Share of each label that is spread evenly over all classes, 0 to 1.
        teacher: Whose probabilities are beside the labels, where there is a teacher.
        teacher_share: Of what is minimized, 0 to 1, the part that asks for its probabilities.
        teacher_temperature: By which these are softened.
        precision: In which a step computes: a dtype policy of Keras'.
    """

    learning_rate: float
    weight_decay: float
    optimizer: str = ADAMW
    schedule: str = COSINE
    warmup: float | None = None
    clip_norm: float = CLIP_NORM
    ema: float = 0.0
    swa: float = 0.0
    loss: str = CROSS_ENTROPY
    label_smoothing: float = 0.0
    teacher: str | None = None
    teacher_share: float = SHARE
    teacher_temperature: float = TEMPERATURE
    precision: str = FLOAT32
