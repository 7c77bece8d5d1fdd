"""Keeps the best weights, stops when there is no gain, and lets a killed run go on."""

import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.files import DAMAGED_ARRAYS, appearing

log = logging.getLogger("toolkit")

STATE = "state.npz"
BEST = "best-{}.npz"


class Checkpoint(keras.callbacks.Callback):
    """Early stopping on validation loss that survives the process.

    After each epoch it writes to `folder` the trained weights, the optimizer's and the random
    generators' state, the history, and the best weights so far: each file appears whole or not at
    all. A new `Checkpoint` on the same folder goes on from there (`resume`); where those files
    are damaged, it says so and starts anew.

    Args:
        folder: Where the files go.
        patience: Epochs without a lower validation loss before training stops.
        start: Validation loss of the weights that training starts from, the first to be beaten.

    Attributes:
        history: A row for each finished epoch: epoch (from 1), loss, accuracy, val_loss,
            val_accuracy, learning_rate.
        best_epoch: The epoch with the lowest validation loss; 0: none was better than the start.
    """

    def __init__(self, folder: Path, patience: int, start: float) -> None:
        super().__init__()
        self._folder = folder
        self._patience = patience
        self._best_loss = start
        self.best_epoch = 0
        self.history: list[dict[str, float]] = []

    def resume(self, model: keras.Model) -> int:
        """Puts a compiled model where the folder's run was left; gives the epochs that are done."""
        self._start = _copy(_weights(model))
        if not (self._folder / STATE).exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        variables = _state_variables(model)
        try:
            values, record = _load(self._folder / STATE, variables)
            history, best_epoch = record["history"], record["best_epoch"]
            if best_epoch:
                _load(self._folder / BEST.format(best_epoch), _weights(model))
                self._best_loss = history[best_epoch - 1]["val_loss"]
        except _DAMAGED as error:
            log.warning("The state of the unfinished training is damaged: starting anew. %s", error)
            return 0
        _assign(variables, values)
        self.history, self.best_epoch = history, best_epoch
        return len(history)

    @property
    def out_of_patience(self) -> bool:
        """Whether there was no gain for as many epochs as are allowed."""
        return len(self.history) - self.best_epoch >= self._patience

    def restore_start(self, model: keras.Model) -> None:
        """Gives the model the weights that training started from."""
        _assign(_weights(model), self._start)

    def restore_best(self, model: keras.Model) -> None:
        """Gives the model the best weights, those of the start where none were better."""
        values = self._start
        if self.best_epoch:
            values, _ = _load(self._best_file(), _weights(model))
        _assign(_weights(model), values)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes what a resumed run needs, the best weights first."""
        row = {key: float(value) for key, value in (logs or {}).items()}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.history.append({"epoch": epoch + 1, **row})
        if row["val_loss"] < self._best_loss:
            self._best_loss, self.best_epoch = row["val_loss"], epoch + 1
            _save(self._best_file(), _copy(_weights(self.model)), {})
        record = {"history": self.history, "best_epoch": self.best_epoch}
        _save(self._folder / STATE, _copy(_state_variables(self.model)), record)
        self._delete_surpassed()
        if self.out_of_patience:
            self.model.stop_training = True

    def _best_file(self) -> Path:
        return self._folder / BEST.format(self.best_epoch)

    def _delete_surpassed(self) -> None:
        # Only now: until the state was written, a killed run would have needed the former best.
        for path in self._folder.glob(BEST.format("*")):
            if path != self._best_file():
                path.unlink()


_DAMAGED = (*DAMAGED_ARRAYS, OSError, LookupError, NotImplementedError, zipfile.BadZipFile)


def _weights(model: keras.Model) -> list[keras.Variable]:
    """The weights that training changes, with the statistics of a head's BatchNormalization."""
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    statistics = [variable for norm in norms for variable in norm.non_trainable_variables]
    return [*model.trainable_variables, *statistics]


def _state_variables(model: keras.Model) -> list[keras.Variable]:
    """All that training changes: weights, the optimizer's state, random generators."""
    weights = {id(weight) for weight in model.weights}
    generators = [v for v in model.non_trainable_variables if id(v) not in weights]
    return [*_weights(model), *generators, *model.optimizer.variables]


def _copy(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _save(path: Path, values: list[np.ndarray], record: dict[str, Any]) -> None:
    arrays: dict[str, Any] = {f"v{i}": value for i, value in enumerate(values)}
    with appearing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays, record=np.array(json.dumps(record)))


def _load(path: Path, variables: list[keras.Variable]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """What `_save` wrote: values that fit the variables, and the record."""
    with open(path, "rb") as file, np.load(file) as saved:
        values = [saved[f"v{i}"] for i in range(len(saved.files) - 1)]
        record = json.loads(str(saved["record"]))
    if [value.shape for value in values] != [tuple(v.shape) for v in variables]:
        raise ValueError(f"{path} is of another model")
    return values, record
