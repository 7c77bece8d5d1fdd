"""The evidence for an ensemble: how good it is, what each member adds, and what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.parts import read_image
from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.calibration import reliability
from toolkit.ensembles.out_of_fold import average_available
from toolkit.ensembles.report import ENSEMBLE, headlines, report
from toolkit.evaluation import pictures
from toolkit.evaluation.metrics import measure
from toolkit.serving.bundle import EXTRA
from toolkit.serving.common_predictions import Predicted
from toolkit.serving.latency import measure_latency, serve_saved_model
from toolkit.serving.members import Member, saved_model_size
from toolkit.serving.records import write_predictions


@dataclass(frozen=True)
class Evidence:
    """What members say, and how it is averaged.

    Attributes:
        members: Of the ensemble.
        averaging: How they are averaged.
        own: What they say of the images that all have for validation, and of the test images.
        viewed: What they say of several views of these, where such are averaged; otherwise None.
        held_out: What they say of all images that at least one has for validation.
    """

    members: Sequence[Member]
    averaging: Averaging
    own: tuple[Predicted, Predicted]
    viewed: tuple[Predicted, Predicted] | None
    held_out: Predicted

    @cached_property
    def test_probabilities(self) -> np.ndarray:
        """The ensemble's, for the test images: [N, K]."""
        return self.averaging(self._averaged[1].members)

    @cached_property
    def out_of_fold(self) -> Predicted | None:
        """The ensemble's honest predictions, [1, N, K], where members have different validation."""
        if self.viewed or not np.isnan(self.held_out.members).any():
            return None
        rows, probabilities = average_available(self.held_out.members, self.averaging)
        return Predicted(self.held_out.table.rows(rows), probabilities[None])

    def metrics(self, seed: int, reject_below: float) -> dict[str, Any]:
        """The content of `metrics.json` but for what is served and its costs.

        Args:
            seed: Of the bootstrap.
            reject_below: See `toolkit.ensemble`.
        """
        validation, test = self.own
        classes, names = test.table.classes, [member.name for member in self.members]
        labels, said = test.table.labels, self.viewed and self.viewed[1].members
        metrics = report(
            labels, test.members, classes, names, self.averaging, seed, said, reject_below
        )
        labels, chosen_by = validation.table.labels, None
        if len(labels):
            chosen_by = measure(labels, self.averaging(self._averaged[0].members), classes)
            for record, probabilities in zip(metrics["members"], validation.members, strict=True):
                record["validation"] = headlines(labels, probabilities, classes)
        metrics = {"chosen": ENSEMBLE, "validation": chosen_by, **metrics}
        if self.out_of_fold:
            table, [said] = self.out_of_fold.table, self.out_of_fold.members
            metrics["out_of_fold"] = measure(table.labels, said, table.classes)
        return metrics

    def complete(self, metrics: dict[str, Any], saved_model: Path) -> dict[str, Any]:
        """Draws how far the exported model can be believed, and adds what it and members cost."""
        test, extra, curves = self._averaged[1], saved_model / EXTRA, {}
        if self.averaging.temperature != 1:
            unscaled = self.averaging.unscaled(test.members)
            curves["before"] = reliability(test.table.labels, unscaled)
        after = "after" if curves else "together"
        curves[after] = reliability(test.table.labels, self.test_probabilities)
        pictures.reliability(curves, extra / "reliability.png")
        if self.out_of_fold:
            table, [said] = self.out_of_fold.table, self.out_of_fold.members
            write_predictions(table, table.classes, said, extra / "out_of_fold.csv")
        return self._with_costs(metrics, saved_model, read_image(test.table.file(0)))

    @property
    def _averaged(self) -> tuple[Predicted, Predicted]:
        return self.viewed or self.own

    def _with_costs(
        self, metrics: dict[str, Any], saved_model: Path, image: bytes
    ) -> dict[str, Any]:
        """Adds bytes, and milliseconds for one image, of the exported model and each member."""
        records = [
            {
                **record,
                "bytes": saved_model_size(member.classifier.bundle.path),
                "latency_ms": measure_latency(member.classifier.predict_bytes, image),
            }
            for record, member in zip(metrics["members"], self.members, strict=True)
        ]
        own = {
            "bytes": saved_model_size(saved_model),
            "latency_ms": measure_latency(serve_saved_model(saved_model), image),
        }
        return {**metrics, "members": records, **own}
