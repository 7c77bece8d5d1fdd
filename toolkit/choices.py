"""Options that are one of some names."""

from collections.abc import Collection

from toolkit.errors import OptionError, UnknownNameError


def check_choice(option: str, name: str, choices: Collection[str]) -> None:
    """Refuses what is none of an option's few names.

    Raises:
        OptionError: It is none of them; all are told.
    """
    if name not in choices:
        raise OptionError(option, f"one of {', '.join(choices)}", name)


def check_name(kind: str, name: str, known: Collection[str]) -> None:
    """Refuses what is none of many names, and offers the nearest.

    Raises:
        UnknownNameError: It is none of them.
    """
    if name not in known:
        raise UnknownNameError(kind, name, known, f"There are {', '.join(known)}.")
