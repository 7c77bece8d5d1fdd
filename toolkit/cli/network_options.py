"""The options of every command that computes features of labelled images and saves a model."""

import click

from toolkit.cli.sections import all_of, images_option, network_option, speed_option
from toolkit.cli.source_options import split_option

models_dir_option = click.option(
    "--models-dir",
    default="models",
    show_default=True,
    metavar="FOLDER",
    help="Where models are saved.",
)

features_engine_option = speed_option(
    "--engine",
    default="auto",
    show_default=True,
    metavar="auto|keras|openvino-float32|openvino-mixed|openvino-bfloat16",
    help="What runs frozen layers. auto: the fastest here that agrees with Keras.",
)

network_options = all_of(
    network_option(
        "--backbone",
        default="efficientnet-lite0",
        show_default=True,
        metavar="NAME",
        help="The pretrained network; `toolkit backbones` lists them.",
    ),
    click.option("--name", help="To save under.  [default: the data folder's name]"),
    models_dir_option,
    network_option(
        "--weights",
        default="imagenet",
        show_default=True,
        metavar="imagenet|random|PATH",
        help="What the network starts from.",
    ),
    network_option(
        "--weights-mirror",
        metavar="URL",
        help="Own web server with the published weights.  [default: $TOOLKIT_WEIGHTS_MIRROR]",
    ),
    network_option(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="Height and width of the network's input.  [default: the network's own]",
    ),
    images_option(
        "--crop",
        default="center",
        show_default=True,
        metavar="center|squash|pad",
        help="How an image gets the network's aspect ratio: its centred part, all of it "
        "stretched, or all of it with bars.",
    ),
    network_option(
        "--normalize",
        default="backbone",
        show_default=True,
        metavar="backbone|channel-mean|channel-mean-std|mean-image|pca|zca",
        help="backbone: as its weights expect. The others give the images the mean and deviation "
        "that these expect by statistics of the training images.",
    ),
    split_option,
)
"""Adds the options that say which network sees which images, and where the model goes."""
