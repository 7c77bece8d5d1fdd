"""The main job: from a folder of photos to a classifier that can be served."""

import inspect
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import backbones
from toolkit.asking import make_options
from toolkit.backbones.pooling import AVG
from toolkit.backbones.standardize import BACKBONE
from toolkit.cache import DEFAULT_SIZE
from toolkit.classifier.head import LINEAR
from toolkit.clock import Clock
from toolkit.data.prepare import CENTER
from toolkit.data.source import Source, as_source
from toolkit.data.sources import list_source
from toolkit.data.table import MAX_PIXELS
from toolkit.finetuning import Job, run_job
from toolkit.option_checks import model_name
from toolkit.preparing import read_images
from toolkit.progress import Reporter
from toolkit.result import FinetuneResult
from toolkit.training.distillation import SHARE, TEMPERATURE
from toolkit.training.losses import CROSS_ENTROPY
from toolkit.training.monitor import CALIBRATED
from toolkit.training.optimization import CLIP_NORM, FLOAT32
from toolkit.training.optimizer_entries import ADAMW
from toolkit.training.schedules import COSINE
from toolkit.training.users_callbacks import check_callbacks

if TYPE_CHECKING:
    import albumentations
    import keras


def finetune(
    data: str | os.PathLike[str] | Source | Mapping[str, Any],
    backbone: str = "efficientnet-lite0",
    *,
    name: str | None = None,
    models_dir: str | os.PathLike[str] = "models",
    weights: str | os.PathLike[str] = "imagenet",
    weights_mirror: str | None = None,
    image_size: int | None = None,
    crop: str = CENTER,
    normalize: str = BACKBONE,
    split: Sequence[float] | str = "auto",
    unfreeze: int | str | None = None,
    unfreeze_gradually: bool = False,
    stage_factor: float = 1.0,
    train_batchnorm: bool = False,
    epochs: int | None = None,
    batch_size: int = 32,
    learning_rate: float | str | None = None,
    monitor: str = CALIBRATED,
    min_delta: float = 0.0,
    patience: int | None = None,
    time_budget: float | str | None = None,
    dropout: float = 0.2,
    weight_decay: float = 1e-3,
    optimizer: str = ADAMW,
    schedule: str = COSINE,
    warmup: float | None = None,
    clip_norm: float = CLIP_NORM,
    ema: float = 0.0,
    swa: float = 0.0,
    loss: str = CROSS_ENTROPY,
    label_smoothing: float = 0.0,
    precision: str = FLOAT32,
    head: str = LINEAR,
    head_layers: int | None = None,
    head_width: int | None = None,
    activation: str | None = None,
    head_batchnorm: bool = False,
    initializer: str | None = None,
    l1: float = 0.0,
    l2: float | None = None,
    pooling: str = AVG,
    augment: "str | os.PathLike[str] | albumentations.BaseCompose" = "auto",
    mix: str = "none",
    imbalance: str = "none",
    views: int | None = None,
    teacher: str | os.PathLike[str] | None = None,
    teacher_share: float = SHARE,
    teacher_temperature: float = TEMPERATURE,
    calibrate: bool = False,
    reject_below: float = 0.0,
    engine: str = "auto",
    cache_size: str | int = DEFAULT_SIZE,
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    tensorboard: str | os.PathLike[str] | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    resume: bool = False,
    quiet: bool = False,
) -> FinetuneResult:
    """Trains a classifier on labelled images, measures it and saves it as a bundle.

    Pooled features of the frozen backbone are computed once and kept in the cache; a probe
    (logistic regression) is fitted on them; its weights become the head of the network, whose top
    stages are then fine-tuned. What is better on the validation split is kept, measured once on
    the test split, and saved as `models_dir/name/VERSION/`.

    Args:
        data: Labelled images: a folder, a manifest, "tfds:NAME" or "sample:digits"; a
            `toolkit.Source` says more of them.
        backbone: The pretrained network; `toolkit backbones` lists them.
        name: To save under; by default the data folder's name.
        models_dir: The model repository.
        weights: "imagenet", "random", or a file of weights.
        weights_mirror: Base URL of an own web server with the published weights' files.
        image_size: Height and width in pixels of the network's input; by default its own.
        crop: How an image gets the network's aspect ratio: "center" (its largest centred part),
            "squash" (all of it, stretched) or "pad" (all of it, with bars).
        normalize: "backbone": as the network's weights expect. Otherwise the training images are
            given the mean and deviation that these expect, by their own statistics:
            "channel-mean", "channel-mean-std", "mean-image", "pca" or "zca" (whitened colours).
        split: Shares of train, validation and test, where the data has no such folders or column.
            "auto": 0.7, 0.15, 0.15 up to 10,000 images, towards 0.98, 0.01, 0.01 for a million.
        unfreeze: Which of the backbone's top stages are trained: how many, "none" (the head alone),
            "all", or the name of the lowest; by default about the upper half of its layers.
        unfreeze_gradually: Train the top stage first, then one more in each epoch, and all of them
            by the middle of the run.
        stage_factor: What the learning rate is multiplied by from the head to the top stage, and
            from each stage to the next below.
        train_batchnorm: Train BatchNorm, with its statistics, in the trained stages. Otherwise it
            is frozen everywhere.
        epochs: At most so many passes over the training split; 0: the probe alone. By default 6, of
            few images as many as make about 300 steps, up to 60.
        batch_size: Images in a training step.
        learning_rate: The highest, at the end of the warm-up; by default the optimizer's: 3e-4 for
            "adamw", "adam", "nadam" and "rmsprop", 3e-5 for "lion", 3e-3 for "lamb" and
            "adafactor", 1e-2 for "sgd"; of few images up to three times as high, by the square root
            of how many more epochs they get. "auto": what a range test suggests (see `find_lr`).
        monitor: By which figure of validation epochs are compared: "calibrated-loss", the loss as
            it would be if the network were as sure as it is right, "loss" or "accuracy".
        min_delta: A smaller gain in it does not count for the patience.
        patience: Epochs without a gain before training stops; by default all, or half of them (at
            least 5) with the schedules "constant" and "plateau".
        time_budget: For all of the job, from its start to the saved bundle: "90s", "20m", "1h30m"
            or seconds. Training ends in time, and the best of what was finished counts: whole
            epochs, or the probe. A resumed run has all of it again.
        dropout: Share of the features that is dropped in training.
        weight_decay: Decoupled: times the learning rate, in each step, whatever the optimizer.
            Biases and one-dimensional scales are spared.
        optimizer: "adamw", "adam" (which is AdamW, as weight decay is decoupled), "nadam",
            "rmsprop", "lion", "lamb", "adafactor", or "sgd" with Nesterov momentum 0.9.
        schedule: How the learning rate goes after its warm-up: "constant", "step", "exponential",
            "polynomial", "cosine", "cosine-restarts", "cosine-cycles-N" (N of the same length),
            "one-cycle", or "plateau": a fifth after each two epochs without a gain in `monitor`.
            `toolkit schedule` draws them.
        warmup: Share of the run over which the learning rate rises; by default 0.1, for "one-cycle"
            0.45.
        clip_norm: A step's gradients, all together, are shortened to this norm; 0: never.
        ema: Momentum, such as 0.99, of a moving average of the weights, which is then what is
            validated, kept and saved. 0: none.
        swa: Stochastic weight averaging: share of the run, such as 0.25, at its end, over which the
            learning rate stays at half of the highest, and the mean of the weights at the end of
            each epoch is what is validated, kept and saved. 0: none.
        loss: "cross-entropy" or "focal" (gamma 2). Validation always measures cross-entropy.
        label_smoothing: Share of each training label that is spread evenly over all classes.
        precision: In which training computes: "float32", "mixed_bfloat16", "mixed_float16" (its
            loss is scaled), or "auto": what a few steps show to be faster here by a tenth or more.
            Weights, and the saved model, are float32.
        head: "linear": one layer, which starts from the probe. "mlp": hidden layers, trained alone
            on the cached features before any stage of the backbone is.
        head_layers: Hidden layers of an mlp; by default 1.
        head_width: Units of each; by default half of the layer before, but no fewer than classes.
        activation: Of the hidden layers: "relu" (the default), "leaky_relu" (slope 0.2), "elu",
            "gelu", "silu", "tanh", "sigmoid" or "maxout" (the larger of two linear pieces).
        head_batchnorm: Whether each hidden layer normalizes its batches.
        initializer: Of an mlp's kernels: "glorot" (the default), "he", "lecun", "orthogonal"; and
            to be studied, "zeros", "small-gaussian" and "large-gaussian" (deviation 0.01 and 1).
        l1: Times the absolute values of the head's kernels, added to the training loss.
        l2: Times their squares, as well; by default 0, for an mlp 0.003.
        pooling: How the backbone's last feature map becomes features: "avg", "max", or "avg+max",
            both side by side.
        augment: "none", "light", "standard", "strong", "trivial" or "randaugment", each but none
            also with "-no-flip"; "auto": light, without flips for the sample digits; or a pipeline
            of albumentations, or the JSON or YAML file that `albumentations.save` wrote.
        mix: How the images of a batch are mixed in pairs after that, with their labels: "none",
            "mixup", "cutmix", or "mixup+cutmix", where each batch draws one of the two. Training
            then reads the images.
        imbalance: What is done where classes have different numbers of training images. "none";
            "logit-adjustment": after training, the logits of what is kept are lowered by how
            frequent their classes are, so that it takes all to be equally frequent (Menon et al.
            2021), as far as validation says; "class-weights": every class counts the same in the
            loss; "resample": each epoch of fine-tuning draws every class equally often, and the
            probe weights them; "auto": logit-adjustment where one class has more than 1.5 times the
            images of another, and validation's gain is at least twice its standard error. All
            figures but the training's in `history.csv` count each image once.
        views: Augmented views of each training image whose activations below the trained stages
            are computed once and cached; by default one for each epoch, at most 8, as far as
            `cache_size` allows. 0: training reads the images.
        teacher: A saved classifier, such as an ensemble, whose probabilities for the training
            images are learned besides their labels (Hinton et al. 2015, distillation). It must know
            the same classes, and must not have seen the test images: make it with the same `data`,
            `split` and `seed`.
        teacher_share: Of what is minimized, the part that asks for the teacher's probabilities.
        teacher_temperature: By which these, and the network's own, are softened first; 1: not.
        calibrate: Divide the logits of what is kept by one temperature, found on the validation
            split (Guo et al. 2017), so that it is as sure as it is right. No image changes its
            class.
        reject_below: Where the highest probability is lower, the saved model gives no label, and
            `rejected`. How many images are answered, and how many of these rightly, is measured.
            0: each is.
        engine: What runs frozen networks: "keras", "openvino-float32", "openvino-mixed",
            "openvino-bfloat16", or "auto": the fastest on this machine that agrees with Keras.
        cache_size: The cache's limit, such as "20GB"; what was not used for longest goes first.
            0: no cache.
        max_pixels: Larger images are refused before they are decoded.
        seed: Of splits, initial weights, order, dropout and augmentation.
        tensorboard: A folder to write a log for TensorBoard to, which must be installed: loss,
            accuracy and learning rate of each epoch, a batch of augmented images, and the confusion
            matrix of what is kept, on validation.
        callbacks: Keras callbacks of your own, called as `fit` does for the layers that are
            trained. Where one raises, training ends, what is best so far is saved, and then the
            error goes on; `resume=True` trains on from the last whole epoch.
        resume: Go on with the unfinished run that had the same options, if there is one; only
            `time_budget`, `tensorboard`, `calibrate` and `reject_below` may be others, and no
            callback's state is kept.
        quiet: Show no progress.

    Returns:
        The result: its `classifier` predicts, its `metrics` are those of `metrics.json`, and its
        `path` is the bundle's.

    Raises:
        ToolkitError: Something that the caller can mend, said in its message.

    Example:
        >>> result = toolkit.finetune("./images", backbone="resnet50")
        >>> result.metrics["test"]["accuracy"]
        0.97
        >>> result.classifier.predict(["photo.jpg"])[0].label
        'cat'
    """
    given = dict(locals())
    source, clock, reporter = as_source(data), Clock(), Reporter(quiet)
    backbones.find(backbone)
    check_callbacks(callbacks)
    with clock("images"):
        listing = list_source(source, reporter.progress)
    options = make_options(given, source, listing)
    folder = Path(models_dir).expanduser() / model_name(name, source.location)
    job = Job(options, folder, weights_mirror, callbacks, resume)
    [result] = run_job(job, partial(read_images, options, listing, reporter), clock, reporter)
    return result


def finetune_arguments(data: Any, options: dict[str, Any]) -> dict[str, Any]:
    """All of `finetune`'s arguments, as given or by default.

    Raises:
        TypeError: An option is none of its.
    """
    bound = inspect.signature(finetune).bind(data, **options)
    bound.apply_defaults()
    return bound.arguments
