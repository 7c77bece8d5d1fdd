"""The errors that a user can cause and mend. The wording lives with them.

Each message says in one or two lines: the rule, what was received, what to do. The command line
prints the message and exits with code 2; anything that is not a `ToolkitError` is a bug and keeps
its traceback.
"""

import difflib
from collections.abc import Iterable


class ToolkitError(Exception):
    """Base of every error that the user can mend."""


class OptionError(ToolkitError, ValueError):
    """An option has a value that it cannot have."""

    def __init__(self, name: str, rule: str, received: object) -> None:
        super().__init__(f"{name} must be {rule}. Received: {received!r}")


class MissingPackageError(ToolkitError, ImportError):
    """Something optional is asked for and not installed."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(f"{what} needs a package that is not installed: pip install {package}")


class UnknownNameError(ToolkitError, LookupError):
    """A name that is not among the known ones; the nearest known ones are offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], see: str = "") -> None:
        near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.4)
        hint = f" Did you mean: {', '.join(near)}?" if near else ""
        super().__init__(f"There is no {kind} {name!r}.{hint}" + (f" {see}" if see else ""))


class NoSuchSourceError(ToolkitError, FileNotFoundError):
    """The data source does not exist or is no folder."""

    def __init__(self, source: object, is_file: bool = False) -> None:
        super().__init__(
            "--data takes a folder of class folders, a manifest (.csv, .parquet), tfds:NAME, or "
            f"sample:digits. There is no {'file' if is_file else 'folder'} {source}"
        )


class ManifestError(ToolkitError, ValueError):
    """A manifest that cannot be used."""

    def __init__(self, manifest: object, problem: str, mend: str = "mend that row") -> None:
        super().__init__(
            "A manifest has the columns path and label, and may have split and group. "
            f"{manifest}: {problem}; {mend}."
        )


class DatasetError(ToolkitError, ValueError):
    """A TensorFlow data set that cannot be used."""

    def __init__(self, source: object, problem: str, mend: str = "take another") -> None:
        super().__init__(
            "A TensorFlow data set must have images with class labels, and be on this machine or "
            f"within reach. {source}: {problem}; {mend}."
        )


class NoClassesError(ToolkitError, ValueError):
    """A source without at least two classes."""

    def __init__(self, source: object, classes: list[str]) -> None:
        found = f"only the class {classes[0]!r}" if classes else "no class folders with images"
        super().__init__(
            f"A classifier needs at least two classes, each a folder of images. "
            f"{source} has {found}; put each class's images in a folder named after it."
        )


class TooFewImagesError(ToolkitError, ValueError):
    """A class that is too small to be split, or that a split leaves empty."""

    def __init__(
        self, class_name: str, count: int, needed: int, problems: int = 0, grouped: bool = False
    ) -> None:
        broken = f" ({problems} unreadable files were left out)" if problems else ""
        what = "groups of readable images" if grouped else "different readable images"
        super().__init__(
            f"Each class needs at least {needed} {what}"
            f"{' (one each to train, validate and test)' if needed == 3 else ' to train on'}. "
            f"{class_name!r} has {count}{broken}; add images or remove the class."
        )


class EmptySplitError(ToolkitError, ValueError):
    """A split without images."""

    def __init__(self, split: str) -> None:
        super().__init__(
            f"Each split needs images, and {split} has none; add some, or let the toolkit split "
            "by leaving the folder out."
        )


class NoImagesError(ToolkitError, ValueError):
    """Nothing to read among the files that were given."""

    def __init__(self, received: object) -> None:
        super().__init__(
            f"No readable image among what was given: {received}. "
            "JPEG, PNG, BMP, GIF and WebP files are read; folders are searched."
        )


class UnknownClassesError(ToolkitError, ValueError):
    """Data with classes that the model, or the training split, does not know."""

    def __init__(self, unknown: list[str], known: list[str], knows: str = "The model") -> None:
        names, known_names = (", ".join(map(repr, group[:8])) for group in (unknown, known))
        super().__init__(
            f"{knows} does not know the class {names}. It knows: {known_names}"
            f"{', ...' if len(known) > 8 else ''}; rename or remove that folder."
        )


class DiskFullError(ToolkitError, OSError):
    """No more could be written."""

    def __init__(self, what: str, where: object) -> None:
        super().__init__(
            f"The disk became full while {what} was written to {where}; nothing is left half "
            "written. Make room, or choose another folder, and run the command again."
        )


class BundleError(ToolkitError, ValueError):
    """A bundle that is missing or damaged."""

    def __init__(self, path: object, problem: str, mend: str) -> None:
        super().__init__(f"{path} is no usable model: {problem}. {mend}")


class NotWritableError(ToolkitError, OSError):
    """A folder in which nothing can be made."""

    def __init__(self, option: str, folder: object, error: OSError) -> None:
        super().__init__(
            f"{option} must be a folder that can be written. {folder} cannot be made or written "
            f"({error.strerror or error}); choose another, or mend its permissions."
        )


class UnreadableImageError(ToolkitError, ValueError):
    """A file that was to be predicted and is no readable image."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(
            f"Each file must be a readable image. {path}: {reason}. "
            "Leave it out, or use `predict_each`, which goes on."
        )


class ParityError(ToolkitError, RuntimeError):
    """The exported model disagrees with the trained one."""

    def __init__(self, difference: float, limit: float) -> None:
        super().__init__(
            f"The exported model must give the trained model's probabilities to {limit:g}; they "
            f"differ by {difference:.2g}. Nothing was published; please report this command."
        )


class ResumeError(ToolkitError, ValueError):
    """A run cannot be resumed with other options."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__(
            "--resume goes on with the options that the run had. It had "
            + "; ".join(differences)
            + ". Give the same options, or leave --resume out to start anew."
        )


class NoSuchFileError(ToolkitError, FileNotFoundError):
    """A file, folder or pattern that leads to nothing."""

    def __init__(self, name: object) -> None:
        super().__init__(f"Give files, folders or patterns of files. Nothing is found at {name}")


class AllSeenError(ToolkitError, ValueError):
    """Nothing to measure honestly."""

    def __init__(self, data: object) -> None:
        super().__init__(
            "A model is measured on images that it has not seen, and it was trained on or chosen "
            f"by every image of {data}. Give other images, or --include-seen."
        )


class MemberError(ToolkitError, ValueError):
    """Models that cannot be averaged."""

    def __init__(self, rule: str, received: object, mend: str) -> None:
        super().__init__(f"Members must be {rule}. Received: {received}. {mend}.")


class NoTestImagesError(ToolkitError, ValueError):
    """No image on which several models could be measured together honestly."""

    def __init__(self, data: object, root: object) -> None:
        where = (
            f"of {data}"
            if data is not None
            else f"that all have for test and that still lies in {root}"
        )
        super().__init__(
            "Members are measured together on images that none of them has seen; there is none "
            f"{where}. Give others with --data, or make the members with one --data and --seed."
        )


class TooFewToCalibrateError(ToolkitError, ValueError):
    """Too few validation images to find a temperature on."""

    def __init__(self, needed: int, count: int) -> None:
        super().__init__(
            f"--calibrate needs {needed} validation images. There are {count}; add images, give "
            "validation a larger share with --split, or leave --calibrate out."
        )


class TooFewToFitError(ToolkitError, ValueError):
    """Too few images to choose by, of those that all members have for validation."""

    def __init__(self, option: str, needed: int, count: int, instead: str) -> None:
        super().__init__(
            f"{option} needs {needed} images that every member has for validation, and none was "
            f"trained on. There are {count}; make the members with one --data and --seed, "
            f"or {instead}."
        )
