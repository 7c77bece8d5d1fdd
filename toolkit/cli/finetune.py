"""`toolkit finetune`."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.ensemble import print_ensemble
from toolkit.cli.head_options import head_options
from toolkit.cli.member_options import member_options, take_members
from toolkit.cli.network_options import features_engine_option, network_options
from toolkit.cli.saved import saved_json, saved_lines
from toolkit.cli.source_options import (
    SOURCE_HELP,
    cache_size_option,
    max_pixels_option,
    source_options,
)
from toolkit.cli.trust_options import (
    answered_line,
    calibrate_option,
    calibration_line,
    reject_below_option,
)

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.result import FinetuneResult


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


@click.command()
@click.option(
    "--data",
    required=True,
    metavar="SOURCE",
    help=SOURCE_HELP,
)
@source_options(grouped=True)
@network_options
@click.option(
    "--unfreeze",
    type=_number_or_name,
    metavar="none|all|NUMBER|STAGE",
    help="Top stages of the network that are trained: how many, or the name of the lowest, as "
    "`toolkit backbones NAME` lists them.  [default: about half of its layers]",
)
@click.option(
    "--unfreeze-gradually",
    is_flag=True,
    help="Train the top stage first, and in each epoch one more, all by the middle of the run.",
)
@click.option(
    "--stage-factor",
    default=1.0,
    show_default=True,
    help="What the learning rate is multiplied by from the head to the top stage, and from each "
    "stage to the next below.",
)
@click.option(
    "--train-batchnorm",
    is_flag=True,
    help="Train BatchNorm, with its statistics, in the stages that are trained; else it is frozen.",
)
@click.option(
    "--epochs",
    type=int,
    help="At most so many passes over the training images; 0: the probe alone.  [default: 6, of "
    "few images as many as make 300 steps, up to 60]",
)
@click.option("--batch-size", default=32, show_default=True, help="Images in a training step.")
@click.option(
    "--learning-rate",
    type=Rate(),
    metavar="RATE|auto",
    help="The highest, at the end of the warm-up; auto: what a range test suggests, as `toolkit "
    "find-lr` does.  [default: the optimizer's, 0.0003 for adamw; of few images up to three times "
    "that]",
)
@click.option(
    "--monitor",
    default="loss",
    show_default=True,
    metavar="loss|accuracy",
    help="By which figure of validation epochs are compared.",
)
@click.option(
    "--min-delta",
    default=0.0,
    show_default=True,
    help="A smaller gain in it does not count for the patience.",
)
@click.option(
    "--patience",
    type=int,
    metavar="EPOCHS",
    help="Epochs without a gain before training stops.  [default: half of all, at least 5]",
)
@click.option(
    "--time-budget",
    metavar="TIME",
    help="For all of the job, such as 90s, 20m or 1h30m: training ends in time, and the best "
    "finished epoch, or the probe, is saved.",
)
@click.option(
    "--dropout",
    default=0.2,
    show_default=True,
    help="Share of the features that is dropped in training.",
)
@click.option(
    "--weight-decay",
    default=1e-3,
    show_default=True,
    help="Decoupled, whatever the optimizer; biases and one-dimensional scales are spared.",
)
@click.option(
    "--optimizer",
    default="adamw",
    show_default=True,
    metavar="adamw|adam|nadam|rmsprop|lion|lamb|adafactor|sgd",
    help="sgd has Nesterov momentum 0.9.",
)
@click.option(
    "--schedule",
    default="cosine",
    show_default=True,
    metavar="NAME",
    help="How the learning rate goes: constant, step, exponential, polynomial, cosine, "
    "cosine-restarts, cosine-cycles-N, one-cycle, or plateau: lowered where validation stands "
    "still. `toolkit schedule` draws them.",
)
@click.option(
    "--warmup",
    type=float,
    metavar="SHARE",
    help="Of the run, over which the learning rate rises.  [default: 0.1; one-cycle: 0.45]",
)
@click.option(
    "--clip-norm",
    default=1.0,
    show_default=True,
    help="Longer gradients, all together, are shortened to it; 0: never.",
)
@click.option(
    "--ema",
    default=0.0,
    is_flag=False,
    flag_value=0.99,
    metavar="[MOMENTUM]",
    help="Validate, keep and save a moving average of the weights; alone: 0.99.  [default: none]",
)
@click.option(
    "--swa",
    default=0.0,
    is_flag=False,
    flag_value=0.25,
    metavar="[SHARE]",
    help="In this last share of the run, keep the learning rate at half of the highest, and "
    "validate, keep and save the mean of the weights at the end of each epoch; alone: 0.25.  "
    "[default: none]",
)
@click.option(
    "--loss",
    default="cross-entropy",
    show_default=True,
    metavar="cross-entropy|focal",
    help="What is minimized; validation always measures cross-entropy.",
)
@click.option(
    "--label-smoothing",
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Of each training label, that is spread evenly over all classes.",
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    metavar="auto|float32|mixed_bfloat16|mixed_float16",
    help="In which training computes; the saved model is float32. auto: what a few steps show to "
    "be faster here.",
)
@head_options
@click.option(
    "--augment",
    default="auto",
    show_default=True,
    metavar="POLICY|FILE",
    help="Changes to training images: none, light, standard, strong, trivial or randaugment, each "
    "also with -no-flip; or a file that albumentations.save wrote. auto: light, without flips for "
    "the sample digits.",
)
@click.option(
    "--mix",
    default="none",
    show_default=True,
    metavar="none|mixup|cutmix|mixup+cutmix",
    help="Mixes the augmented images of a batch in pairs, and their labels: blended, with a part "
    "cut out of the other, or one of the two for each batch. Training then reads the images.",
)
@click.option(
    "--imbalance",
    default="none",
    show_default=True,
    metavar="none|auto|logit-adjustment|class-weights|resample",
    help="Where some classes have many more images: take all to be equally frequent, by adjusted "
    "logits, by weights, or by drawing each equally often. auto: logit-adjustment where numbers "
    "differ by half or more.",
)
@click.option(
    "--views",
    type=int,
    metavar="NUMBER",
    help="Augmented views of each training image that are run through the frozen layers once and "
    "cached; 0: training reads the images.  [default: one for each epoch, at most 8, as far as "
    "--cache-size allows]",
)
@click.option(
    "--teacher",
    metavar="MODEL",
    help="A saved classifier, such as an ensemble: its probabilities for the training images are "
    "learned besides their labels.",
)
@click.option(
    "--teacher-share",
    default=0.5,
    show_default=True,
    help="Of what is minimized, the part that asks for the teacher's probabilities.",
)
@click.option(
    "--teacher-temperature",
    default=2.0,
    show_default=True,
    help="By which these, and the network's own, are softened first; 1: not.",
)
@member_options
@calibrate_option
@reject_below_option
@features_engine_option
@cache_size_option
@max_pixels_option
@click.option(
    "--seed",
    default=0,
    show_default=True,
    help="Of splits, initial weights, order, dropout and augmentation.",
)
@click.option(
    "--tensorboard",
    metavar="FOLDER",
    help="Also write a log for TensorBoard there: figures of each epoch, augmented images, the "
    "confusion matrix.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the unfinished run that had the same options."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def finetune(as_json: bool, **options: Any) -> None:
    """Train a classifier on a folder of labelled images.

    Reads and checks the images, splits them, computes the backbone's features once, fits a linear
    probe on them, fine-tunes the upper stages, keeps what is better on the validation images,
    measures it once on the test images, and saves it ready to be served. With several of
    --backbone, --folds, --seeds or --snapshots, it saves each classifier and their ensemble.

    \b
    Examples:
      toolkit finetune --data ./images
      toolkit finetune --data ./images --backbone resnet50 --unfreeze conv4
      toolkit finetune --data photos.csv --group-by patient
      toolkit finetune --data ./images --backbone resnet50,efficientnet-lite0
      toolkit finetune --data ./images --folds 5
      toolkit finetune --data sample:digits --epochs 3 --json
    """
    from toolkit.cli.libraries import quiet_import

    members = take_members(options)
    with quiet_import():
        if members is None:
            from toolkit.job import finetune as run
        else:
            from toolkit.making_members import finetune_members

    if members is None:
        result = run(**options)
        show = partial(_print, result)
    else:
        result = together = finetune_members(**members, **options)
        show = partial(print_ensemble, together)
    if as_json:
        print(saved_json(result))
    else:
        show()


def _print(result: "FinetuneResult") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table(result))
    console.print("\n".join(saved_lines(result.path)), soft_wrap=True, markup=False)


def _table(result: "FinetuneResult") -> "Table":
    from rich.table import Table

    metrics = result.metrics
    low, high = metrics["test"]["accuracy_ci95"]
    kept = {
        "probe": "the probe",
        "head": "the head, without fine-tuning",
        "finetuned": "the fine-tuned network",
    }[metrics["chosen"]]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("Kept", f"{kept}: {metrics['why']}")
    table.add_row(
        "Test accuracy",
        f"{metrics['test']['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}, "
        f"{metrics['test']['n']:,} images, measured once)",
    )
    table.add_row(
        "Test macro-F1, loss", f"{metrics['test']['macro_f1']:.3f}, {metrics['test']['loss']:.4f}"
    )
    if "selective" in metrics["test"]:
        table.add_row("Answered", answered_line(metrics["test"]["selective"]))
    if "calibration" in metrics:
        table.add_row("Calibration", calibration_line(metrics["calibration"]))
    parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.timings.items())
    table.add_row("Time", f"{sum(result.timings.values()):.0f} s: {parts}")
    return table
