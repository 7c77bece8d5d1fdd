"""The network that a benchmark runs, and the job's options around it."""

import inspect
from dataclasses import fields
from typing import Any

from benchmarks.settings import Settings
from toolkit import backbones, job
from toolkit.backbones import LoadedBackbone
from toolkit.cache import parse_size
from toolkit.data.prepare import Preparation
from toolkit.options import FinetuneOptions
from toolkit.probing import FrozenNetwork
from toolkit.progress import Reporter


def load_network(settings: Settings) -> tuple[LoadedBackbone, Preparation]:
    """The backbone with its weights, and how its input is made."""
    network = backbones.load(
        settings.backbone, weights=settings.weights, image_size=settings.image_size
    )
    _, height, width, _ = network.model.input_shape
    return network, Preparation(height, width)


def frozen_network(settings: Settings, **changes: Any) -> tuple[FrozenNetwork, LoadedBackbone]:
    """The backbone as the main job has it, with the job's defaults but for some changes."""
    network, preparation = load_network(settings)
    options = job_options(settings, network, **changes)
    return FrozenNetwork(network.model, preparation, options, Reporter(quiet=True)), network


def job_options(settings: Settings, network: LoadedBackbone, **changes: Any) -> FinetuneOptions:
    """The main job's own defaults, so that what is measured is what a user gets."""
    parameters = inspect.signature(job.finetune).parameters
    names = {field.name for field in fields(FinetuneOptions)}
    defaults = {name: each.default for name, each in parameters.items() if name in names}
    values = {
        **defaults,
        "data": settings.data,
        "backbone": settings.backbone,
        "weights": settings.weights,
        "image_size": settings.image_size,
        "unfreeze": network.backbone.unfreeze,
        "augment": "light",
        "cache_size": parse_size("--cache-size", defaults["cache_size"]),
        **changes,
    }
    return FinetuneOptions(**values)
