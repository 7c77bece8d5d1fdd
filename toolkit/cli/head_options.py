"""The options of `toolkit finetune` that say what is put on the backbone."""

from toolkit.cli.sections import all_of, head_option

pooling_option = head_option(
    "--pooling",
    default="avg",
    show_default=True,
    metavar="avg|max|avg+max",
    help="How a feature map becomes features: the mean over the image, the maximum, or both.",
)

head_options = all_of(
    head_option(
        "--head",
        default="linear",
        show_default=True,
        metavar="linear|mlp",
        help="linear: one layer, which starts from the probe. mlp: hidden layers, trained alone on "
        "the cached features first.",
    ),
    head_option(
        "--head-layers", type=int, metavar="N", help="Hidden layers of an mlp.  [default: 1]"
    ),
    head_option(
        "--head-width",
        type=int,
        metavar="UNITS",
        help="Units of each hidden layer.  [default: half of the layer before]",
    ),
    head_option(
        "--activation",
        metavar="NAME",
        help="Of hidden layers: relu, leaky_relu, elu, gelu, silu, tanh, sigmoid or maxout.  "
        "[default: relu]",
    ),
    head_option("--head-batchnorm", is_flag=True, help="Each hidden layer normalizes its batches."),
    head_option(
        "--initializer",
        metavar="NAME",
        help="Of an mlp: glorot, he, lecun, orthogonal; to be studied: zeros, small-gaussian, "
        "large-gaussian.  [default: glorot]",
    ),
    head_option(
        "--l1", default=0.0, show_default=True, help="Penalty on the head's absolute weights."
    ),
    head_option(
        "--l2",
        type=float,
        metavar="FLOAT",
        help="Penalty on the head's squared weights.  [default: 0; for an mlp 0.003]",
    ),
    pooling_option,
)
"""Adds the options of heads to a command."""
