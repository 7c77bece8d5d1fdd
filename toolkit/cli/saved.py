"""What a command says of a model that it has saved."""

import os
import shlex
from pathlib import Path


def saved_lines(path: Path) -> list[str]:
    """Where the bundle lies, and what to do with it next."""
    model = os.path.relpath(path.parent)
    return [
        f"Saved: {os.path.relpath(path)} (records and pictures in assets.extra)",
        f"Next:  toolkit predict {shlex.quote(model)} PHOTO...",
    ]
