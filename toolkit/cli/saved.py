"""What a command says of a model that it has saved."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.result import FinetuneResult


def saved_json(result: "FinetuneResult") -> str:
    """Where the bundle lies, and its records, as one JSON object."""
    return json.dumps({"path": str(result.path), **result.metrics, "run": result.run})


def saved_lines(path: Path) -> list[str]:
    """Where the bundle lies, and what to do with it next."""
    model = os.path.relpath(path.parent)
    return [
        f"Saved: {os.path.relpath(path)} (records and pictures in assets.extra)",
        f"Next:  toolkit predict {shlex.quote(model)} PHOTO...",
    ]
