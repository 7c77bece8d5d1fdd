"""Training steps as the main job makes them."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from toolkit import backbones
from toolkit.backbones import LoadedBackbone
from toolkit.classifier.model import attach_head, freeze_below, frozen_layers
from toolkit.option_checks import count_unfrozen
from toolkit.options import FinetuneOptions
from toolkit.training import fine_tuning
from toolkit.training.optimizer_entries import find_optimizer


def make_classifier(
    network: LoadedBackbone, classes: int, options: FinetuneOptions
) -> tuple[keras.Model, list[keras.layers.Layer]]:
    """A classifier whose top stages are trainable, and the layers of its frozen ones."""
    width = network.model.output_shape[-1]
    kernel, bias = np.zeros([width, classes], np.float32), np.zeros(classes, np.float32)
    model = attach_head(network.model, kernel, bias, options.dropout, options.seed)
    stages = backbones.stage_layers(network.model, network.backbone)
    trained = freeze_below(model, stages, count_unfrozen(options.unfreeze, list(stages)))
    return model, frozen_layers(stages, trained)


def compile_model(model: keras.Model, options: FinetuneOptions, steps: int) -> None:
    """Compiles a model that gives logits, as fine-tuning does."""
    rate = find_optimizer(options.optimizer).learning_rate
    fine_tuning.compile_model(model, options.optimization(rate, options.precision), steps)


def fit(model: keras.Model, batches: Iterable, steps: int, **further: Any) -> None:
    """Trains so many steps; `further` is what Keras' `fit` takes."""
    model.fit(batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, **further)
