"""What a job is asked for: its options, out of a function's arguments."""

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from toolkit import backbones
from toolkit.backbones.pooling import check_pooling
from toolkit.backbones.standardize import check_normalization
from toolkit.cache import parse_size
from toolkit.classifier.engine import check_engine
from toolkit.clock import parse_duration
from toolkit.data.listing import Listing
from toolkit.data.policies import check_draws, choose_policy
from toolkit.data.prepare import check_crop
from toolkit.data.source import Source
from toolkit.option_checks import count_unfrozen
from toolkit.options import FeatureOptions, FinetuneOptions
from toolkit.serving.bundle import find_bundle


def feature_values(given: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The values of `FeatureOptions` as they are checked and recorded.

    Args:
        given: A job's arguments by their names; others than these options are passed over.
        source: The data's.

    Raises:
        OptionError: One has a value that it cannot have.
    """
    values = {field.name: given[field.name] for field in fields(FeatureOptions)}
    split = given["split"]
    check_crop(given["crop"])
    check_normalization(given["normalize"])
    check_pooling(given["pooling"])
    check_engine(given["engine"])
    return values | {
        "data": source,
        "backbone": backbones.find(given["backbone"]).name,
        "weights": os.fspath(given["weights"]),
        "split": split if isinstance(split, str) else tuple(split),
        "cache_size": parse_size("--cache-size", given["cache_size"]),
    }


def make_options(given: Mapping[str, Any], source: Source, listing: Listing) -> FinetuneOptions:
    """The options as they are checked and recorded, out of `finetune`'s arguments.

    Args:
        given: The arguments by their names; others than options are passed over.
        source: The data's.
        listing: The data's files.

    Raises:
        OptionError: One has a value that it cannot have.
        BundleError: There is no such teacher.
    """
    entry = backbones.find(given["backbone"])
    values = {field.name: given[field.name] for field in fields(FinetuneOptions)}
    values |= feature_values(given, source)
    folder, teacher = given["tensorboard"], given["teacher"]
    values |= {
        "unfreeze": entry.unfreeze if given["unfreeze"] is None else given["unfreeze"],
        "time_budget": parse_duration("--time-budget", given["time_budget"]),
        "tensorboard": None if folder is None else os.fspath(folder),
        "teacher": None if teacher is None else str(find_bundle(teacher).path),
        "augment": choose_policy(given["augment"], listing.flips),
    }
    options = FinetuneOptions(**values)
    count_unfrozen(options.unfreeze, [stage.name for stage in entry.stages])
    check_draws(options.augment, *backbones.input_shape(entry, options.image_size))
    return options
