"""Importing TensorFlow quickly and without what it writes on the screen."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Sends the process' standard error to nowhere: native code writes there while it loads.

    A terminal shows meanwhile what takes the seconds.
    """
    is_terminal = sys.stderr.isatty()
    if is_terminal:
        print("Loading TensorFlow ...", end="\r", file=sys.stderr, flush=True)
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        if is_terminal:
            print(" " * 22, end="\r", file=sys.stderr, flush=True)


def import_tensorflow_alone() -> None:
    """Imports TensorFlow without Keras, in half the time: enough for a command that only serves.

    TensorFlow imports Keras where it can. In this process, it can't.
    """
    sys.modules["keras"] = None  # type: ignore[assignment]
    with quiet_import():
        import tensorflow  # noqa: F401
