"""The fit loop where stages are trained one after the other, more slowly, or with BatchNorm."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_residual, pixels, stages_of, with_head
from tests.training.test_checkpoint import Interrupt, state
from toolkit.classifier.boundary import cut_below
from toolkit.classifier.model import HEAD, freeze_below, frozen_layers
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import fine_tune
from toolkit.training.optimization import Optimization
from toolkit.training.stage_rates import first_epochs, stage_rates

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EPOCHS, STEPS = 4, 3
PARTS = (HEAD, "block2", "block1", "stem")
"""From the head down. Above block2 there is the pooling, which has nothing to train."""


class Weights(keras.callbacks.Callback):
    """All weights after each epoch, by part and name."""

    def __init__(self, model):
        super().__init__()
        self.classifier = model
        self.found = [self.now()]

    def now(self):
        return {w.path: np.array(keras.ops.convert_to_numpy(w)) for w in self.classifier.weights}

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.now())

    def changed(self, before, after):
        """The paths of what changed between the ends of two epochs; 0 is the start."""
        one, two = self.found[before], self.found[after]
        return {path for path in one if not np.array_equal(one[path], two[path])}


def make_classifier():
    """A classifier with the same weights on every backend."""
    model = with_head(network := make_residual(), dropout=0.0)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([random.normal(0, 0.2, w.shape) for w in layer.weights])
    return model, stages_of(network)


def run(
    folder,
    *callbacks,
    unfreeze=3,
    gradually=False,
    factor=1.0,
    batchnorm=False,
    losses=None,
    **options,
):
    """Trains on activations below the trained stages; gives the weights' history and checkpoint."""
    folder.mkdir(exist_ok=True)
    model, stages = make_classifier()
    trained = freeze_below(model, stages, unfreeze, batchnorm)
    cut = cut_below(model, frozen_layers(stages, trained))
    images, labels = cut.lower.predict_on_batch(pixels(24)), np.arange(24, dtype=np.int32) % 3
    starts = first_epochs(trained, EPOCHS, gradually)
    weights = Weights(model)
    checkpoint = (Checkpoint if losses is None else told(losses))(folder, 9, 1e9)
    fine_tune(
        cut.upper,
        lambda epochs: (
            tf.data.Dataset.from_tensor_slices((images, labels)).batch(8).repeat(len(epochs))
        ),
        tf.data.Dataset.from_tensors((images, labels)),
        steps_per_epoch=STEPS,
        epochs=EPOCHS,
        optimization=Optimization(**{"learning_rate": 0.01, "weight_decay": 0.01, **options}),
        rates=stage_rates(stages, starts, factor, STEPS),
        checkpoint=checkpoint,
        callbacks=[weights, *callbacks],
    )
    return model, weights, checkpoint


def told(losses):
    """A checkpoint that takes these to be the epochs' validation losses."""

    class Told(Checkpoint):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {**logs, "val_loss": losses[epoch]})

    return Told


def parts_of(paths):
    return {part for part in PARTS for path in paths if path.startswith(part)}


def test_stages_are_trained_one_after_the_other(tmp_path):
    _, weights, _ = run(tmp_path, gradually=True)  # pool and block2's: epochs 1 and 2; block1: 3.

    assert parts_of(weights.changed(0, 1)) == {HEAD}
    assert parts_of(weights.changed(1, 2)) == {HEAD, "block2"}
    assert parts_of(weights.changed(0, 2)) == {HEAD, "block2"}, "bit for bit"
    assert parts_of(weights.changed(2, 3)) == {HEAD, "block2", "block1"}
    assert parts_of(weights.changed(0, EPOCHS)) == {HEAD, "block2", "block1"}
    assert not any("_bn/" in path for path in weights.changed(0, EPOCHS)), "BatchNorm is frozen"


EVERY_WAY = {"gradually": True, "factor": 0.5, "batchnorm": True}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run in every way: its folder, model, weights and checkpoint."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *run(folder, **EVERY_WAY)


@pytest.mark.parametrize("epochs", [1, 2])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(whole, tmp_path, epochs):
    folder, expected, _, finished = whole
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupt(epochs), **EVERY_WAY)

    model, _, checkpoint = run(tmp_path, **EVERY_WAY)

    assert checkpoint.history == finished.history
    for one, two in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    one, two = state(folder), state(tmp_path)
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_the_best_weights_are_those_of_all_stages_at_that_epoch(tmp_path):
    model, weights, checkpoint = run(tmp_path, **EVERY_WAY, losses=[3.0, 1.0, 2.0, 2.0])

    assert checkpoint.best_epoch == 2
    best = weights.found[2]
    for weight in model.weights:
        np.testing.assert_array_equal(weight, best[weight.path], err_msg=weight.path)
    assert parts_of(weights.changed(2, EPOCHS)) == {HEAD, "block2", "block1"}
    checkpoint.restore_start(model)
    for weight in model.weights:
        np.testing.assert_array_equal(weight, weights.found[0][weight.path], err_msg=weight.path)


def test_lower_stages_move_less_with_a_factor(tmp_path):
    moved, kinds = {}, {}
    for factor in (1.0, 0.1):
        _, weights, checkpoint = run(tmp_path / str(factor), factor=factor)
        first, last = weights.found[:2]
        moved[factor] = {
            part: np.abs(last[path] - first[path]).max()
            for part, path in {HEAD: HEAD + "/bias", "block1": "block1_conv/bias"}.items()
        }
        kinds[factor] = type(checkpoint.model.optimizer)
    # Pool, block2, block1: the third power.
    assert moved[0.1]["block1"] == pytest.approx(1e-3 * moved[1.0]["block1"], rel=0.5)
    assert moved[0.1][HEAD] > 0.5 * moved[1.0][HEAD]
    assert kinds[1.0] is keras.optimizers.AdamW, "so that without a factor nothing changes"
    assert kinds[0.1] is not keras.optimizers.AdamW


NORM = {"gamma", "beta", "moving_mean", "moving_variance"}


def test_thawed_batchnorm_is_trained_in_the_trained_stages_alone(whole, tmp_path):
    _, _, gradual, _ = whole
    _, weights, _ = run(tmp_path, batchnorm=True)
    for each in (weights, gradual):
        changed = {path for path in each.changed(0, EPOCHS) if "_bn/" in path}
        assert changed == {f"{block}_bn/{name}" for block in ("block1", "block2") for name in NORM}


def test_statistics_follow_from_the_first_epoch_and_what_is_trained_waits(whole):
    _, _, weights, _ = whole
    first = {path for path in weights.changed(0, 2) if path.startswith("block1_bn/")}
    assert first == {"block1_bn/moving_mean", "block1_bn/moving_variance"}


def unfrozen_in_every_way(folder):
    """The history of such a training, with some weights."""
    _, weights, checkpoint = run(folder, **EVERY_WAY)
    paths = [f"block1_{name}" for name in ("conv/bias", "bn/gamma", "bn/moving_variance")]
    found = [{path: float(each[path].sum()) for path in paths} for each in weights.found]
    return checkpoint.history + found
