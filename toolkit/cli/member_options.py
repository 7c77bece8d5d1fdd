"""The options of `toolkit finetune` by which it makes several members, and their ensemble."""

from typing import Any

from toolkit.cli.sections import all_of, members_option

member_options = all_of(
    members_option(
        "--folds",
        type=int,
        metavar="K",
        help="Train K classifiers, each validated on another fold, and save their ensemble.",
    ),
    members_option(
        "--seeds",
        default=1,
        show_default=True,
        metavar="N",
        help="Train with N seeds from --seed on, on the same splits, and save the ensemble.",
    ),
    members_option(
        "--snapshots",
        default=1,
        show_default=True,
        metavar="N",
        help="Let the learning rate fall N times, keep the weights after each, and save the "
        "ensemble.",
    ),
)
"""Adds the options in the order in which help shows them."""


def take_members(options: dict[str, Any]) -> dict[str, Any] | None:
    """Takes these options out of all; None where they ask for one classifier."""
    numbers = {name: options.pop(name) for name in ("folds", "seeds", "snapshots")}
    backbones = [name.strip() for name in options["backbone"].split(",")]
    if len(backbones) == 1 and numbers == {"folds": None, "seeds": 1, "snapshots": 1}:
        return None
    del options["backbone"]
    return {"backbones": backbones, **numbers}
