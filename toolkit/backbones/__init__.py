"""Pretrained networks: which exist, where their weights come from, how one is built."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.backbones.builder import LoadedBackbone, build, input_shape, load
    from toolkit.backbones.registry import BACKBONES, Backbone, Stage, find
    from toolkit.backbones.stages import stage_layers

__all__ = [
    "BACKBONES",
    "Backbone",
    "LoadedBackbone",
    "Stage",
    "build",
    "find",
    "input_shape",
    "load",
    "stage_layers",
]

_MODULES = {
    "BACKBONES": "registry",
    "Backbone": "registry",
    "LoadedBackbone": "builder",
    "Stage": "registry",
    "build": "builder",
    "find": "registry",
    "input_shape": "builder",
    "load": "builder",
    "stage_layers": "stages",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: keras takes seconds."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
