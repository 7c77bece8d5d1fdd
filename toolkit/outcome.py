"""What a fine-tuning has come to: all that its bundle tells of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolkit.calibrating import Calibration
from toolkit.choosing import Choice
from toolkit.classifier.head import LINEAR
from toolkit.data.table import TEST, TRAIN
from toolkit.evaluation.metrics import measure
from toolkit.fitting import Fitted
from toolkit.preparing import Tunable
from toolkit.serving.save import Trained
from toolkit.training.imbalance import choose_imbalance
from toolkit.unfreezing import Trainable


@dataclass(frozen=True)
class Outcome:
    """A finished fine-tuning.

    Attributes:
        prepared: What training started from.
        trainable: The network with its head, as it was before its own layers were trained.
        fitted: The training.
        choice: What is kept.
        probabilities: What that gives for the test split: float32 [N, K].
    """

    prepared: Tunable
    trainable: Trainable
    fitted: Fitted
    choice: Choice
    probabilities: np.ndarray

    def trained(self, member_of: Mapping[str, Any] | None, timings: dict[str, float]) -> Trained:
        """What is saved.

        Args:
            member_of: What the record tells of the trainings that it is one of.
            timings: Seconds of each part; those of saving come in while it is saved.
        """
        table, choice = self.prepared.table, self.choice
        calibration = Calibration(table, choice.temperature, choice.validation, self.probabilities)
        return Trained(
            model=choice.model,
            table=table,
            preparation=self.prepared.preparation,
            metrics={**self._metrics(), **calibration.record()},
            history=self.fitted.checkpoint.history,
            test_probabilities=self.probabilities,
            run={**self._record(), "member_of": member_of, "timings": timings},
            reject_below=self.prepared.options.reject_below,
            complete=calibration.draw,
        )

    def _metrics(self) -> dict[str, Any]:
        table, options, choice = self.prepared.table, self.prepared.options, self.choice
        labels, rejected = table.split(TEST).labels, options.reject_below
        return {
            "chosen": choice.chosen,
            "why": choice.why,
            "probe": self.prepared.probed.metrics,
            **({} if options.head == LINEAR else {"head": self.trainable.metrics}),
            "validation": choice.metrics,
            "test": measure(labels, self.probabilities, table.classes, rejected),
        }

    def _record(self) -> dict[str, Any]:
        """What `run.json` tells, but for the time it took."""
        options, fitted, record = self.prepared.options, self.fitted, self.prepared.record()
        labels = self.prepared.table.split(TRAIN).labels
        starts = self.trainable.starts.items()
        return {
            **record,
            "trained_stages": self.trainable.stages,
            "trained_from_epoch": {name: first + 1 for name, first in starts},
            "epochs": options.epochs_for(len(labels)),
            "patience": options.patience_for(len(labels)),
            "best_epoch": fitted.checkpoint.best_epoch,
            "ended": fitted.checkpoint.ended and asdict(fitted.checkpoint.ended),
            "learning_rate": fitted.learning_rate,
            "precision": fitted.precision,
            "probe_strength": self.prepared.probed.probe.strength,
            "engine": {**record["engine"], "views": fitted.data.engine},
            "views": fitted.data.views,
            "trained_on_images": fitted.data.why,
            "imbalance": choose_imbalance(options.imbalance, labels).name,
            "logit_adjustment": self.choice.adjustment and self.choice.adjustment.record(),
            "logits_lowered_by": self._lowered_by(),
        }

    def _lowered_by(self) -> dict[str, float]:
        """By its name, by how much each class's logit was lowered; empty where none was."""
        lowered = self.choice.lowered
        if isinstance(lowered, float):
            return {}
        return dict(zip(self.prepared.table.classes, lowered.tolist(), strict=True))
