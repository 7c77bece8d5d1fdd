"""The options of `toolkit finetune` that say what is trained, how, how long, and on what."""

from typing import Any

import click

from toolkit.cli.sections import (
    all_of,
    batches_option,
    ending_option,
    stages_option,
    teacher_option,
    training_option,
)


def _number_or_name(value: str) -> int | str:
    try:
        return int(value)
    except ValueError:
        return value


class Rate(click.ParamType):
    """A number, or auto."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Reads it."""
        if value == "auto":
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"must be a number, or auto. Received: {value!r}", param, ctx)


training_options = all_of(
    stages_option(
        "--unfreeze",
        type=_number_or_name,
        metavar="none|all|NUMBER|STAGE",
        help="Top stages of the network that are trained: how many, or the name of the lowest, "
        "as `toolkit backbones NAME` lists them.  [default: about half of its layers]",
    ),
    stages_option(
        "--unfreeze-gradually",
        is_flag=True,
        help="Train the top stage first, and in each epoch one more, all by the middle of the run.",
    ),
    stages_option(
        "--stage-factor",
        default=1.0,
        show_default=True,
        help="What the learning rate is multiplied by from the head to the top stage, and from "
        "each stage to the next below.",
    ),
    stages_option(
        "--train-batchnorm",
        is_flag=True,
        help="Train BatchNorm, with its statistics, in the stages that are trained; else it is "
        "frozen.",
    ),
    training_option(
        "--batch-size", default=32, show_default=True, help="Images in a training step."
    ),
    training_option(
        "--learning-rate",
        type=Rate(),
        metavar="RATE|auto",
        help="The highest, at the end of the warm-up; auto: what a range test suggests, as "
        "`toolkit find-lr` does.  [default: the optimizer's, 0.0003 for adamw; of few "
        "images up to three times that]",
    ),
    training_option(
        "--dropout",
        default=0.2,
        show_default=True,
        help="Share of the features that is dropped in training.",
    ),
    training_option(
        "--weight-decay",
        default=1e-3,
        show_default=True,
        help="Decoupled, whatever the optimizer; biases and one-dimensional scales are spared.",
    ),
    training_option(
        "--optimizer",
        default="adamw",
        show_default=True,
        metavar="adamw|adam|nadam|rmsprop|lion|lamb|adafactor|sgd",
        help="sgd has Nesterov momentum 0.9.",
    ),
    training_option(
        "--schedule",
        default="cosine",
        show_default=True,
        metavar="NAME",
        help="How the learning rate goes: constant, step, exponential, polynomial, cosine, "
        "cosine-restarts, cosine-cycles-N, one-cycle, or plateau: lowered where validation "
        "stands still. `toolkit schedule` draws them.",
    ),
    training_option(
        "--warmup",
        type=float,
        metavar="SHARE",
        help="Of the run, or of each cycle, over which the learning rate rises.  "
        "[default: 0.1; one-cycle: 0.45]",
    ),
    training_option(
        "--clip-norm",
        default=1.0,
        show_default=True,
        help="Longer gradients, all together, are shortened to it; 0: never.",
    ),
    training_option(
        "--ema",
        default=0.0,
        is_flag=False,
        flag_value=0.99,
        metavar="[MOMENTUM]",
        help="Validate, keep and save a moving average of the weights; alone: 0.99.  [default: "
        "none]",
    ),
    training_option(
        "--swa",
        default=0.0,
        is_flag=False,
        flag_value=0.25,
        metavar="[SHARE]",
        help="In this last share of the run, keep the learning rate at half of the highest, and "
        "validate, keep and save the mean of the weights at the end of each epoch; alone: "
        "0.25.  [default: none]",
    ),
    training_option(
        "--loss",
        default="cross-entropy",
        show_default=True,
        metavar="cross-entropy|focal",
        help="What is minimized; validation always measures cross-entropy.",
    ),
    training_option(
        "--label-smoothing",
        default=0.0,
        show_default=True,
        metavar="SHARE",
        help="Of each training label, that is spread evenly over all classes.",
    ),
    training_option(
        "--precision",
        default="float32",
        show_default=True,
        metavar="auto|float32|mixed_bfloat16|mixed_float16",
        help="In which training computes; the saved model is float32. auto: what a few steps "
        "show to be faster here.",
    ),
    ending_option(
        "--epochs",
        type=int,
        help="At most so many passes over the training images; 0: the probe alone.  [default: 6,"
        " of few images as many as make 300 steps, up to 60]",
    ),
    ending_option(
        "--monitor",
        default="calibrated-loss",
        show_default=True,
        metavar="calibrated-loss|loss|accuracy",
        help="By which figure of validation epochs are compared. calibrated-loss: the loss as it "
        "would be if the network were as sure as it is right.",
    ),
    ending_option(
        "--min-delta",
        default=0.0,
        show_default=True,
        help="A smaller gain in it does not count for the patience.",
    ),
    ending_option(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="Epochs without a gain before training stops.  [default: all; half, at least 5, "
        "with --schedule constant or plateau]",
    ),
    ending_option(
        "--time-budget",
        metavar="TIME",
        help="For all of the job, such as 90s, 20m or 1h30m: training ends in time, and the best"
        " finished epoch, or the probe, is saved.",
    ),
    batches_option(
        "--augment",
        default="auto",
        show_default=True,
        metavar="POLICY|FILE",
        help="Changes to training images: none, light, standard, strong, trivial or randaugment,"
        " each also with -no-flip; or a file that albumentations.save wrote. auto: light, "
        "without flips for the sample digits.",
    ),
    batches_option(
        "--mix",
        default="none",
        show_default=True,
        metavar="none|mixup|cutmix|mixup+cutmix",
        help="Mixes the augmented images of a batch in pairs, and their labels: blended, with a "
        "part cut out of the other, or one of the two for each batch. Training then reads "
        "the images.",
    ),
    batches_option(
        "--imbalance",
        default="none",
        show_default=True,
        metavar="none|auto|logit-adjustment|class-weights|resample",
        help="Where some classes have many more images: take all to be equally frequent, by "
        "adjusted logits, by weights, or by drawing each equally often. auto: "
        "logit-adjustment where numbers differ by half or more and validation is sure of the gain.",
    ),
    batches_option(
        "--views",
        type=int,
        metavar="NUMBER",
        help="Augmented views of each training image that are run through the frozen layers once"
        " and cached; 0: training reads the images.  [default: one for each epoch, at most "
        "8, as far as --cache-size allows]",
    ),
    teacher_option(
        "--teacher",
        metavar="MODEL",
        help="A saved classifier, such as an ensemble: its probabilities for the training images"
        " are learned besides their labels.",
    ),
    teacher_option(
        "--teacher-share",
        default=0.5,
        show_default=True,
        help="Of what is minimized, the part that asks for the teacher's probabilities.",
    ),
    teacher_option(
        "--teacher-temperature",
        default=2.0,
        show_default=True,
        help="By which these, and the network's own, are softened first; 1: not.",
    ),
)
"""Adds the options in the order in which help shows them."""
