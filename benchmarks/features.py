"""Features: the toolkit's pass over photos against `model.predict` over Keras' own data set.

The same network and weights, the same files, the same size. Fewer than 1,000 photos are repeated
until there are as many, each with a few other bytes behind its end: to the cache it is another one.

- *toolkit, cold*: `compute_features` with the engine "auto" and an empty cache in each round, from
  the files to all features in memory: reading, decoding, cropping, resizing, network, writing.
- *toolkit, warm*: the same call when all features are in the cache.
- *model.predict*: `keras.utils.image_dataset_from_directory` with batches of 32 and `model.predict`
  over it, from the files to all features in memory, after a first pass that traces the network.
- *network alone*: the toolkit's engine over the same images, prepared in memory. What the whole
  pass takes beyond it is the input pipeline's share.

The end of a pass over Keras' data set may wait for tf.data's tuning, whose moments come
0.01 x (2^k - 1) seconds after its beginning: 0.63, 1.27, 2.55, 5.11, ... That is not counted: the
clock of `model.predict` stops at its last batch.

To choose the engine comes before and is not in these figures: converting the network for OpenVINO
and comparing it with Keras, once for each network. It has a table of its own.
"""

from dataclasses import replace

import numpy as np

from benchmarks.folders import own_cache, repeated_images
from benchmarks.images import describe, keras_images, paths, prepared_images, quiet, read_table
from benchmarks.measure import alternate, rate_of, rate_to_last_batch, seconds_of
from benchmarks.networks import frozen_network
from benchmarks.outcome import Outcome, compare
from benchmarks.settings import Settings
from toolkit.classifier.engine import Engine
from toolkit.classifier.features import BATCH_SIZE, compute_features
from toolkit.data.table import ImageTable
from toolkit.probing import FrozenNetwork

COLD, WARM, PREDICT = "toolkit, cold", "toolkit, warm", "model.predict"
ALONE = "network alone"
FEWEST_IMAGES, IMAGES = 1000, 2000


def run(settings: Settings) -> Outcome:
    """Measures images a second, and what it takes to choose the engine."""
    with own_cache():
        photos = read_table(settings, IMAGES)
        count = max(len(photos), FEWEST_IMAGES) if settings.limit is None else len(photos)
        frozen, _ = frozen_network(settings)
        with repeated_images(paths(photos), count) as folder:
            table = read_table(replace(settings, data=str(folder)), count)
            engine = frozen.engine("auto", table)
            choosing = _measure_choosing(frozen, table, settings)
            rates = _measure_passes(frozen, table, engine, settings)
    share = [100 * (1 - c / a) for c, a in zip(rates[COLD], rates[ALONE], strict=True)]
    comparisons = [
        compare("Throughput", "images/s", rates, PREDICT),
        compare("Input pipeline's share of the cold pass", "%", {COLD: share}),
        compare("Choosing the engine", "s", choosing),
    ]
    notes = [f"Engine: {engine.name}, {engine.difference:.2g} from Keras (relative)."]
    return Outcome(f"{count:,} images, out of {describe(photos)}", comparisons, notes=notes)


def _measure_passes(
    frozen: FrozenNetwork, table: ImageTable, engine: Engine, settings: Settings
) -> dict[str, list[float]]:
    height, width = frozen.preparation.height, frozen.preparation.width

    def toolkit_pass() -> np.ndarray:
        return compute_features(table, frozen.model, frozen.preparation, engine, quiet).values

    def cold() -> float:
        with own_cache():
            return rate_of(toolkit_pass, len(table))()

    prepared = prepared_images(table, frozen.preparation, BATCH_SIZE)
    toolkit_pass()  # So that the cache is warm.
    contestants = {
        PREDICT: rate_to_last_batch(
            lambda **how: frozen.model.predict(
                keras_images(table.root, height, width), verbose=0, **how
            ),
            len(table),
        ),
        COLD: cold,
        WARM: rate_of(toolkit_pass, len(table)),
        ALONE: rate_of(lambda: [engine(batch) for batch in prepared], len(table)),
    }
    return alternate(settings.repetitions, contestants, warm_up=1, say=settings.say)


def _measure_choosing(
    frozen: FrozenNetwork, table: ImageTable, settings: Settings
) -> dict[str, list[float]]:
    choose = seconds_of(lambda: frozen.engine("auto", table))

    def cold() -> float:
        with own_cache():
            return choose()

    contestants = {"network converted anew": cold, "converted network in the cache": choose}
    return alternate(settings.repetitions, contestants, say=settings.say)
