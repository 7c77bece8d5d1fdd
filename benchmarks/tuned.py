"""Fine-tuned networks that are kept whatever validation says, from the probe's head or another."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import toolkit
from benchmarks.settings import Settings
from benchmarks.trainings import Record, Training, shared
from toolkit.asking import make_options
from toolkit.choosing import predict
from toolkit.clock import Clock
from toolkit.data.sources import list_source
from toolkit.data.table import TEST
from toolkit.evaluation.metrics import measure
from toolkit.fitting import fit
from toolkit.job import finetune_arguments
from toolkit.preparing import Tunable, prepare, read_images
from toolkit.probing import fit_on_features
from toolkit.progress import Reporter
from toolkit.serving.unfinished import UnfinishedRun
from toolkit.unfreezing import make_trainable

PROBE, ZEROS, RANDOM = "probe", "zeros", "random weights"

UNBEATEN = {"calibrated_loss": math.inf, "loss": math.inf, "accuracy": 0.0}
"""What training starts from, so that its best epoch is kept."""


def tuned(
    settings: Settings,
    source: Callable[[int, Path], toolkit.Source],
    head_of: str = PROBE,
    **options: Any,
) -> Training:
    """As `finetuning`, but the probe is never kept.

    Args:
        settings: The command's.
        source: Makes the source out of the seed and a folder.
        head_of: What the linear head starts from: "probe", "zeros" or "random weights".
        options: Of `finetune`.
    """

    def train(seed: int, folder: Path) -> Record:
        data, clock, reporter = source(seed, folder), Clock(), Reporter(quiet=True)
        began = time.perf_counter()
        asked = {"backbone": settings.backbone, "seed": seed, **shared(settings), **options}
        given = finetune_arguments(data, asked)
        listing = list_source(data, reporter.progress)
        job = make_options(given, data, listing)
        read = partial(read_images, job, listing, reporter)
        prepared = prepare(job, read, None, clock, reporter, fit_on_features)
        prepared = prepared if head_of == PROBE else _with_head(prepared, head_of, seed)
        with UnfinishedRun.start(folder / "tuned", job.compared, resume=False) as run:
            trainable = make_trainable(prepared, run.folder / "head")
            fit(prepared, replace(trainable, metrics=UNBEATEN), run, reporter)
        test = prepared.table.split(TEST)
        probabilities = predict(trainable.model, test, prepared.preparation, reporter, "Testing")
        seconds = time.perf_counter() - began
        return measure(test.labels, probabilities, test.classes) | {"seconds": seconds}

    return train


def _with_head(prepared: Tunable, head_of: str, seed: int) -> Tunable:
    probe = prepared.probed.probe
    limit = math.sqrt(6 / sum(probe.kernel.shape)) if head_of == RANDOM else 0.0  # Glorot's.
    kernel = np.random.default_rng(seed).uniform(-limit, limit, probe.kernel.shape)
    start = replace(probe, kernel=kernel.astype(np.float32), bias=np.zeros_like(probe.bias))
    return replace(prepared, probed=replace(prepared.probed, probe=start))
