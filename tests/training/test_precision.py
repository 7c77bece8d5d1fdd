"""Training in half precision: what computes in it, and that nothing of it is left."""

import keras
import numpy as np
import pytest

from tests.networks import make_residual, pixels
from tests.training.runs import assert_same, batches, make_model, train
from tests.training.test_checkpoint import Interrupt
from toolkit.classifier.model import HEAD, attach_head, logits_model
from toolkit.training.checkpoint import Checkpoint
from toolkit.training.fine_tuning import compile_model, fine_tune
from toolkit.training.optimization import BFLOAT16, FLOAT16, FLOAT32, Optimization
from toolkit.training.precision import computing_in, fastest_precision, inner, seconds_of_a_step

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.slow,
]

HALVES = [BFLOAT16, FLOAT16]


def make_classifier() -> keras.Model:
    network = make_residual()
    kernel = np.linspace(-1, 1, 3 * network.output_shape[1], dtype=np.float32).reshape(-1, 3)
    return attach_head(network, kernel, np.zeros(3, np.float32))


class Dtypes(keras.callbacks.Callback):
    """Notes in which types each layer computes while training runs."""

    def on_train_batch_end(self, batch, logs=None):
        layers = self.model.layers[1:]  # Without the input.
        self.found = {layer.name: layer.compute_dtype for layer in layers}
        self.weights = {weight.dtype for weight in self.model.weights}


def train_images(folder, precision, callbacks=(), **options):
    import tensorflow as tf

    folder.mkdir(exist_ok=True)
    keras.utils.set_random_seed(0)
    model, images = make_classifier(), pixels(12)
    labels = np.arange(12, dtype=np.int32) % 3
    checkpoint = Checkpoint(folder, patience=9, start=1e9)
    fine_tune(
        logits_model(model),
        lambda epochs: (
            tf.data.Dataset.from_tensor_slices((images, labels)).batch(6).repeat(len(epochs))
        ),
        tf.data.Dataset.from_tensors((images, labels)),
        steps_per_epoch=2,
        epochs=3,
        optimization=Optimization(0.01, 0.01, precision=precision, **options),
        checkpoint=checkpoint,
        callbacks=list(callbacks),
    )
    return model, checkpoint


@pytest.mark.parametrize("precision", HALVES)
def test_all_but_the_logits_and_the_weights_are_halved_while_training_runs(tmp_path, precision):
    dtypes = Dtypes()
    model, checkpoint = train_images(tmp_path, precision, [dtypes])
    half = precision.removeprefix("mixed_")
    assert dtypes.weights == {"float32"}
    assert dtypes.found.pop(HEAD) == "float32"
    assert set(dtypes.found.values()) == {half}
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.isfinite([row["val_loss"] for row in checkpoint.history]).all()


@pytest.mark.parametrize("precision", HALVES)
def test_it_learns_as_in_float32(tmp_path, precision):
    _, exact = train_images(tmp_path / "exact", FLOAT32)
    _, rounded = train_images(tmp_path / "rounded", precision)
    one, two = ([row["loss"] for row in run.history] for run in (exact, rounded))
    assert one != two, "it was computed in another precision"
    assert one == pytest.approx(two, rel=0.1)


@pytest.mark.parametrize("precision", HALVES)
def test_the_saved_model_is_float32(tmp_path, precision):
    model, _ = train_images(tmp_path, precision)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert {layer.dtype_policy.name for layer in again.layers} == {"float32"}
    np.testing.assert_array_equal(again(pixels(2)), model(pixels(2)))


@pytest.mark.parametrize("options", [{"ema": 0.5, "schedule": "plateau"}, {"swa": 0.7}], ids=str)
def test_a_run_in_float16_goes_on_as_if_it_had_not_been_interrupted(tmp_path, options):
    steps = {"precision": FLOAT16, **options}
    whole = train(tmp_path / "whole", steps=steps)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "left", Interrupt(3), steps=steps)
    assert_same(whole, train(tmp_path / "left", steps=steps))


def test_a_step_whose_gradients_overflow_is_left_out_and_the_loss_scaled_less():
    model = compile_model(make_model(), Optimization(0.01, 0.0, precision=FLOAT16), 10)
    before = [np.array(v) for v in model.trainable_variables]
    images, labels = next(iter(batches(range(1))))
    weights = np.full(len(labels), 3e36, np.float32)
    model.train_on_batch(images, labels, weights)
    assert float(model.optimizer.dynamic_scale) == 2.0**14
    for value, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, variable)
    assert int(inner(model.optimizer).iterations) == 0


def test_what_fails_in_training_leaves_no_half_precision():
    model = make_classifier()
    with pytest.raises(RuntimeError), computing_in(model, BFLOAT16):
        raise RuntimeError
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize(
    ("half", "expected"),
    [
        (0.1, ("mixed_bfloat16", "a step takes 0.1 s, and 0.2 s in float32")),
        (0.19, ("float32", "a step takes 0.2 s, and 0.19 s in mixed_bfloat16")),
        (0.4, ("float32", "a step takes 0.2 s, and 0.4 s in mixed_bfloat16")),
    ],
)
def test_the_faster_one_is_taken_where_it_is_much_faster(half, expected):
    assert fastest_precision({FLOAT32: 0.2, BFLOAT16: half}) == expected


def test_the_first_step_is_not_timed(monkeypatch):
    times = iter([10.0, 11.0, 20.0, 20.5, 30.0, 32.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    steps = []
    assert seconds_of_a_step(lambda: steps.append(1)) == 0.5
    assert len(steps) == 4
