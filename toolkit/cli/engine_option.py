"""The option of every command that runs a bundle."""

import click

engine_option = click.option(
    "--engine",
    default="auto",
    show_default=True,
    metavar="auto|tensorflow|openvino-float32|openvino-bfloat16",
    help="What runs the network. auto: OpenVINO for a thousand images or more without a GPU.",
)
