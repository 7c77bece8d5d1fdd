"""Callbacks of the caller's own, whose failure must not cost what was trained."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import keras

from toolkit.errors import OptionError
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.ending import CALLBACK, Ending


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Refuses what is no Keras callback.

    Raises:
        OptionError: One is none.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise OptionError("callbacks", "instances of keras.callbacks.Callback", callback)


class UsersCallbacks(keras.callbacks.Callback):
    """Runs callbacks; where one raises, training ends and the error is kept, to be raised later.

    So what is best so far can be saved first. Ctrl-C passes at once.

    Args:
        callbacks: In their order.
        checkpoint: Learns of a failure. A resumed run does not: it trains on.

    Attributes:
        error: What one of them has raised, with its traceback; None: nothing.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], checkpoint: Checkpoint):
        super().__init__()
        self._callbacks, self._checkpoint = callbacks, checkpoint
        self._epoch, self._step = 1, 0
        self.error: Exception | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Keeps an error, and ends training."""
        if not isinstance(error, Exception):
            return False
        self.error = error
        why = f"a callback raised {type(error).__name__} in epoch {self._epoch}"
        self._checkpoint.end(Ending(CALLBACK, self._epoch, self._step, why), keep=False)
        return True

    def _forward(self, hook: str, *arguments: Any, **options: Any) -> None:
        with self:
            for callback in self._callbacks if self.error is None else ():
                getattr(callback, hook)(*arguments, **options)

    def set_params(self, params: dict) -> None:
        """Forwards them."""
        super().set_params(params)
        self._forward("set_params", params)

    def set_model(self, model: keras.Model) -> None:
        """Forwards it."""
        super().set_model(model)
        self._forward("set_model", model)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Forwards it."""
        self._epoch, self._step = epoch + 1, 0
        self._forward("on_epoch_begin", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Forwards it."""
        self._step = batch + 1
        self._forward("on_train_batch_begin", batch, logs)


def _forwarding(hook: str) -> Callable[..., None]:
    def forward(self: UsersCallbacks, *arguments: Any, **options: Any) -> None:
        self._forward(hook, *arguments, **options)

    return forward


for _hook in dir(keras.callbacks.Callback):
    if _hook.startswith("on_") and _hook not in vars(UsersCallbacks):
        setattr(UsersCallbacks, _hook, _forwarding(_hook))
