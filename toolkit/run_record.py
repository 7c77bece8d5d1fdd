"""The record of a run: enough to repeat it, and to trust it."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import keras
import numpy as np

from toolkit.backbones.weights import WeightsOrigin
from toolkit.data.prepare import Preparation
from toolkit.data.table import SPLITS, ImageTable
from toolkit.options import FeatureOptions
from toolkit.serving.members import Member

PACKAGES = ("toolkit", "keras", "tensorflow", "numpy", "scipy", "albumentations", "pillow")


def run_record(
    options: FeatureOptions,
    table: ImageTable,
    digest: str,
    preparation: Preparation,
    weights_origin: WeightsOrigin,
) -> dict[str, Any]:
    """The part of `run.json` that does not depend on the outcome; `digest` is the data's."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": asdict(options),
        "classes": table.classes,
        "preparation": asdict(preparation),
        "data": data_record(table, digest),
        "weights": asdict(weights_origin),
        "versions": versions(),
    }


def joined_record(
    table: ImageTable, members: Sequence[Member], shares: np.ndarray, options: dict[str, Any]
) -> dict[str, Any]:
    """The part of `run.json` that tells what was made of which saved classifiers.

    Args:
        table: All images with their splits.
        members: M of them.
        shares: What each counts for, [M].
        options: All that was asked for.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": options,
        "classes": table.classes,
        "members": [
            {
                "name": member.name,
                "path": str(member.classifier.bundle.path),
                "backbone": member.backbone,
                "weight": float(share),
            }
            for member, share in zip(members, shares, strict=True)
        ],
        "data": data_record(table, data_digest(table)),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions of all that decides a result, and Keras' backend."""
    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in (*PACKAGES, backend)},
        "backend": backend,
    }


def data_record(table: ImageTable, digest: str) -> dict[str, Any]:
    """What `run.json` tells of the images; `digest` is `data_digest` of them."""
    return {
        "root": str(table.root),
        "digest": digest,
        "images": {name: int((table.splits == name).sum()) for name in SPLITS},
        "left_out": len(table.problems),
    }


def data_digest(table: ImageTable) -> str:
    """A digest of all images with their labels and splits, whatever their order."""
    labels = (table.classes[label] for label in table.labels)
    rows = sorted(zip(table.digests, labels, table.splits, strict=True))
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(repr(row).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
