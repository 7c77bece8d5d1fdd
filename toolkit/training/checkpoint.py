"""Keeps the best weights, stops when there is no gain, and lets a killed run go on."""

import json
import logging
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.files import DAMAGED_ARRAYS, appearing
from toolkit.training.averaging import averages_or_weights
from toolkit.training.ending import Ending
from toolkit.training.monitor import CALIBRATED, LOSS, Monitor, figure
from toolkit.training.variables import assign, copy

log = logging.getLogger("toolkit")

STATE = "state.npz"
BEST = "best-{}.npz"
SNAPSHOT = "snapshot-{}.npz"
ENDED = "ended.json"


class Checkpoint(keras.callbacks.Callback):
    """Early stopping on a figure of validation that survives the process.

    After each epoch it writes to `folder` the trained weights with the statistics of thawed
    BatchNorms, the optimizer's and the random generators' state, the history, and the best weights
    so far (their averages, where the optimizer keeps such): each file appears whole or not
    at all. A new `Checkpoint` on the same folder goes on from there (`resume`); where those files
    are damaged, it says so and starts anew.

    Args:
        folder: Where the files go.
        patience: Epochs without a gain before training stops.
        start: The watched figure of the weights that training starts from, the first to be beaten.
        monitor: Which is watched: one of `toolkit.training.monitor.MONITORS`, validation's.
        min_delta: A smaller gain does not count for the patience.
        keep_every: After each so many epochs the weights are kept for good, whatever they are
            worth: snapshots. 0: never.

    Attributes:
        history: A row for each finished epoch: epoch (from 1), loss, accuracy, val_loss,
            val_accuracy, val_calibrated_loss, learning_rate.
        best_epoch: The epoch with the best watched figure; 0: none was better than the start.
        monitor: What judges the epochs.
        ended: What ended training early; None: nothing did, or not yet.
    """

    def __init__(
        self,
        folder: Path,
        patience: int,
        start: float,
        monitor: str = LOSS,
        min_delta: float = 0.0,
        keep_every: int = 0,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._patience = patience
        self._keep_every = keep_every
        self.monitor = Monitor(monitor, start, min_delta)
        self.best_epoch = 0
        self.ended: Ending | None = None
        self.history: list[dict[str, float]] = []

    def resume(self, model: keras.Model) -> int:
        """Puts a compiled model where the folder's run was left; gives the epochs that are done."""
        self._start = copy(_weights(model))
        self.ended = _read_ending(self._folder / ENDED)
        if not (self._folder / STATE).exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        variables = _state_variables(model)
        try:
            values, record = _load(self._folder / STATE, variables)
            history, best_epoch = record["history"], record["best_epoch"]
            if best_epoch:
                _load(self._folder / BEST.format(best_epoch), _weights(model))
        except _DAMAGED as error:
            log.warning("The state of the unfinished training is damaged: starting anew. %s", error)
            self.go_on()
            return 0
        assign(variables, values)
        self.history, self.best_epoch = history, best_epoch
        return len(history)

    @property
    def out_of_patience(self) -> bool:
        """Whether there was no gain for as many epochs as are allowed."""
        return len(self.history) - self.monitor.last_gain(self.history) >= self._patience

    def end(self, ending: Ending, keep: bool = True) -> None:
        """Ends training; the epoch in which that is does not count, unless it is finished already.

        Args:
            ending: What ends it.
            keep: Whether a resumed run is to know of it, and not to train on.
        """
        self.ended = ending
        if keep:
            with appearing(self._folder / ENDED) as temporary:
                temporary.write_text(json.dumps(asdict(ending)))
        if self.model is not None:
            self.model.stop_training = True

    def restore_start(self, model: keras.Model) -> None:
        """Gives the model the weights that training started from."""
        assign(_weights(model), self._start)

    def restore_best(self, model: keras.Model) -> None:
        """Gives the model the best weights, those of the start where none were better."""
        values = self._start
        if self.best_epoch:
            values, _ = _load(self._best_file(), _weights(model))
        assign(_weights(model), values)

    @property
    def snapshots(self) -> int:
        """How many times the weights were kept for good so far."""
        return len(self.history) // self._keep_every if self._keep_every else 0

    def restore_snapshot(self, model: keras.Model, number: int) -> None:
        """Gives the model the weights of a snapshot, counted from 1."""
        values, _ = _load(self._folder / SNAPSHOT.format(number), _weights(model))
        assign(_weights(model), values)

    def go_on(self) -> None:
        """Forgets what ended the run."""
        self.ended = None
        (self._folder / ENDED).unlink(missing_ok=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes what a resumed run needs, the best weights first."""
        if self.ended:  # In the middle of this epoch, or with what it has come to.
            return
        # Of training, whose weights change from batch to batch, it says nothing.
        row = {
            key: float(value) for key, value in (logs or {}).items() if key != figure(CALIBRATED)
        }
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.history.append({"epoch": epoch + 1, **row})
        if self.monitor.best_epoch(self.history) == epoch + 1:
            self.best_epoch = epoch + 1
            _save(self._best_file(), copy(_kept(self.model)), {})
        if self._keep_every and (epoch + 1) % self._keep_every == 0:
            _save(self._folder / SNAPSHOT.format(self.snapshots), copy(_kept(self.model)), {})
        record = {"history": self.history, "best_epoch": self.best_epoch}
        _save(self._folder / STATE, copy(_state_variables(self.model)), record)
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


def _read_ending(path: Path) -> Ending | None:
    try:
        return Ending(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # It had not ended.


_DAMAGED = (*DAMAGED_ARRAYS, OSError, LookupError, NotImplementedError, zipfile.BadZipFile)


def _weights(model: keras.Model) -> list[keras.Variable]:
    """What training changes of a model: its trained weights, and statistics of trained layers."""
    return [*model.trainable_variables, *_statistics(model)]


def _kept(model: keras.Model) -> list[keras.Variable]:
    """What takes the place of `_weights` where an epoch was the best."""
    return [*averages_or_weights(model), *_statistics(model)]


def _statistics(model: keras.Model) -> list[keras.Variable]:
    trained = [layer for layer in model.layers if layer.trainable]
    return [weight for layer in trained for weight in layer.non_trainable_weights]


def _state_variables(model: keras.Model) -> list[keras.Variable]:
    """All that training changes: weights, the optimizer's state, random generators."""
    weights = {id(weight) for weight in model.weights}
    generators = [v for v in model.non_trainable_variables if id(v) not in weights]
    return [*_weights(model), *generators, *model.optimizer.variables]


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
