"""A user's own augmentation: pipelines in the files that albumentations itself writes."""

import difflib
import json
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from toolkit.errors import OptionError

SUFFIXES = (".json", ".yaml", ".yml")


def read_pipeline(path: Path) -> str:
    """The text of the pipeline in a file that `albumentations.save` wrote.

    Raises:
        OptionError: It cannot be read, or is no such file.
    """
    try:
        content = _parse(path)
    except (OSError, ValueError) as error:
        rule = f"a JSON or YAML file that can be read ({one_line(error)})"
        raise OptionError("--augment", rule, str(path)) from error
    build_pipeline(content, str(path))
    return pipeline_text(content)


def build_pipeline(content: Any, received: str) -> Any:
    """The pipeline of a file's content: of albumentations' own transforms, nothing else.

    Args:
        content: As `albumentations.to_dict` gives it.
        received: What errors call it.

    Raises:
        OptionError: It is none, or not for images alone.
    """
    library, _ = import_albumentations()
    try:
        named = content["transform"]
        boxes = any(named.get(name) for name in ("bbox_params", "keypoint_params"))
        transform = library.from_dict(content)
    except KeyError as error:
        near = difflib.get_close_matches(str(error.args[0]), dir(library))
        rule = f"a pipeline of albumentations' own transforms; there is no {error}"
        rule += f", but {', '.join(near)}" if near else ""
        raise OptionError("--augment", rule, received) from error
    except (AttributeError, TypeError, ValueError) as error:
        rule = f"a pipeline as albumentations.save writes it ({one_line(error)})"
        raise OptionError("--augment", rule, received) from error
    if boxes:
        rule = "a pipeline for images alone; this one is for boxes or keypoints"
        raise OptionError("--augment", rule, received)
    return transform


def pipeline_text(content: dict[str, Any]) -> str:
    """A pipeline's content as a text that is the same for the same pipeline."""
    return json.dumps(content, sort_keys=True)


def one_line(error: Exception) -> str:
    """The beginning of what an error says."""
    return " ".join(str(error).split())[:200]


def import_albumentations() -> tuple[ModuleType, ModuleType]:
    """Albumentations and OpenCV, late: they take a while."""
    # Without this, albumentations asks the network for its newest version when it is imported.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albumentations
        import cv2
    return albumentations, cv2


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() == ".json":
        return json.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
