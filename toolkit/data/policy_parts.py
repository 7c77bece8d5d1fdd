"""What an augmentation policy is made of: its transforms, each as a policy of its own."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from toolkit.data.pipelines import import_albumentations, pipeline_text
from toolkit.data.policies import check_draws, make_transform
from toolkit.errors import OptionError

CONTAINERS = {
    "Compose",
    "OneOf",
    "OneOrOther",
    "RandomOrder",
    "ReplayCompose",
    "Sequential",
    "SomeOf",
}
"""Of albumentations, that apply what is in them as it is. Others are taken for one transform."""

NOTHING = "NoOp"


@dataclass(frozen=True)
class Part:
    """One of a policy's transforms, always applied.

    Attributes:
        name: The transform's, with the arguments that tell it from others of the same name.
        policy: As `toolkit.data.policies.choose_policy` gives it.
    """

    name: str
    policy: str


def parts_of(policy: str, height: int, width: int) -> list[Part]:
    """Takes a policy apart into its transforms, however deep they are nested.

    Transforms that work only together, as a crop and the resizing after it, stay one part.

    Args:
        policy: As `choose_policy` gives it, other than "none".
        height: Of the images that are drawn from, in pixels.
        width: Of the images that are drawn from, in pixels.

    Example:
        >>> [part.name for part in parts_of("light", 224, 224)]
        ['Affine', 'RandomBrightnessContrast', 'HorizontalFlip']
    """
    content = import_albumentations()[0].to_dict(make_transform(policy))
    content = json.loads(json.dumps(content))  # Tuples become lists, as in a user's file.
    # Transforms that differ in their chance alone are one part.
    nodes = {_text(node): node for node in _split(content["transform"], height, width)}
    nodes = {text: node for text, node in nodes.items() if _name(node) != NOTHING}
    usual = _usual_arguments(list(nodes.values()))
    return [Part(_described(node, usual), text) for text, node in nodes.items()]


def _split(node: dict[str, Any], height: int, width: int) -> list[dict[str, Any]]:
    if _name(node) not in CONTAINERS:
        return [node]
    inner = [part for child in node["transforms"] for part in _split(child, height, width)]
    return inner if all(_works_alone(part, height, width) for part in inner) else [node]


def _works_alone(node: dict[str, Any], height: int, width: int) -> bool:
    try:
        check_draws(_text(node), height, width)
    except OptionError:
        return False
    return True


def _text(node: dict[str, Any]) -> str:
    return pipeline_text({"transform": {**node, "p": 1.0}})


def _name(node: dict[str, Any]) -> str:
    return node["__class_fullname__"].rpartition(".")[2]


def _arguments(node: dict[str, Any]) -> dict[str, str]:
    """The arguments that are given, as texts with three digits."""
    given = {
        k: v for k, v in node.items() if k not in ("__class_fullname__", "p") and v is not None
    }
    rounded = json.loads(json.dumps(given), parse_float=lambda text: float(f"{float(text):.3g}"))
    return {key: str(value).replace("'", "") for key, value in rounded.items()}


def _usual_arguments(nodes: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """For each transform that there is more than once, what most of them have for an argument."""
    same: dict[str, list[dict[str, str]]] = {}
    for node in nodes:
        same.setdefault(_name(node), []).append(_arguments(node))
    return {
        name: {
            key: Counter(each.get(key, "") for each in several).most_common(1)[0][0]
            for key in set().union(*several)
        }
        for name, several in same.items()
        if len(several) > 1
    }


def _described(node: dict[str, Any], usual: dict[str, dict[str, str]]) -> str:
    name = _name(node)
    if name in CONTAINERS:
        return f"{name}({', '.join(_described(child, {}) for child in node['transforms'])})"
    told = usual.get(name)
    given = _arguments(node).items() if told is not None else []
    own = [f"{key}={value}" for key, value in given if told and told[key] != value]
    return f"{name}({', '.join(own)})" if own else name
