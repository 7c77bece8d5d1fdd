"""The faster way to the gradient of wide depthwise kernels: the same gradient, and nothing left."""

import platform

import keras
import numpy as np
import pytest

from tests.networks import pixels
from toolkit.training.tensorflow_depthwise import fast_depthwise_gradients

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def processor(monkeypatch):
    """Whatever runs the tests: what is computed is the same everywhere."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def make_model(kernel_size=5, size=9, **options):
    keras.utils.set_random_seed(0)
    options = {"padding": "same", **options}
    images = keras.Input((size, size, 3))
    hidden = keras.layers.Conv2D(4, 1)(images / 255)
    hidden = keras.layers.DepthwiseConv2D(kernel_size, name="depthwise", **options)(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(keras.ops.tanh(hidden))
    return keras.Model(images, keras.layers.Dense(3, dtype="float32")(hidden))


def gradients_of(model):
    import tensorflow as tf

    images = tf.constant(pixels(6, model.input_shape[1]))
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_mean(tf.square(model(images, training=True) - [1.0, 0.0, -1.0]))
    sources = [images, *(variable.value for variable in model.trainable_variables)]
    return [each.numpy() for each in tape.gradient(loss, sources)]


def is_replaced(model):
    return "call" in vars(model.get_layer("depthwise"))


@pytest.mark.parametrize(
    ("kernel_size", "options"),
    [
        (5, {}),
        (7, {}),
        (9, {}),
        ((3, 5), {}),
        ((1, 5), {"use_bias": False}),
        ((4, 7), {"activation": "relu6"}),
    ],
)
def test_gradients_are_those_that_tensorflow_gives(kernel_size, options):
    model = make_model(kernel_size, **options)
    expected = gradients_of(model)
    with fast_depthwise_gradients(model):
        assert is_replaced(model)
        found = gradients_of(model)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_what_the_model_gives_stays_the_same_to_the_bit():
    model, images = make_model(), pixels(4, 9)
    expected = model(images).numpy()
    with fast_depthwise_gradients(model):
        np.testing.assert_array_equal(model(images).numpy(), expected)


def test_layers_compute_in_their_own_precision():
    model = make_model(dtype="mixed_bfloat16")
    expected = gradients_of(model)
    with fast_depthwise_gradients(model):
        for one, other in zip(gradients_of(model), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())


@pytest.mark.parametrize(
    ("kernel_size", "options"),
    [
        (3, {}),
        ((5, 3), {}),
        ((5, 4), {}),
        (5, {"strides": 2}),
        (5, {"dilation_rate": 2}),
        (5, {"padding": "valid"}),
        (5, {"depth_multiplier": 2}),
        (5, {"size": 4}),
        (5, {"trainable": False}),
    ],
)
def test_all_others_are_left_alone(kernel_size, options):
    model = make_model(kernel_size, **options)
    with fast_depthwise_gradients(model):
        assert not is_replaced(model)


def test_nothing_is_done_where_it_would_not_help(monkeypatch):
    model = make_model()
    with monkeypatch.context() as patch:
        patch.setattr(keras.backend, "backend", lambda: "jax")
        with fast_depthwise_gradients(model):
            assert not is_replaced(model)
    with monkeypatch.context() as patch:
        patch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
        with fast_depthwise_gradients(model):
            assert not is_replaced(model)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with fast_depthwise_gradients(model):
        assert not is_replaced(model)


def test_layers_are_themselves_again_afterwards_also_after_an_error(tmp_path):
    model = make_model()
    with pytest.raises(KeyError), fast_depthwise_gradients(model):
        raise KeyError
    assert not is_replaced(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("depthwise")) is keras.layers.DepthwiseConv2D


def test_no_kernel_gradient_is_of_more_than_three_columns(monkeypatch):
    import tensorflow as tf

    seen = []
    whole = tf.nn.depthwise_conv2d_backprop_filter

    def noting(images, sizes, *others):
        seen.append(sizes)
        return whole(images, sizes, *others)

    monkeypatch.setattr(tf.nn, "depthwise_conv2d_backprop_filter", noting)
    model = make_model((5, 7))
    with fast_depthwise_gradients(model):
        gradients_of(model)
    column, middle = [5, 1, 4, 1], [5, 3, 4, 1]
    assert sorted(seen) == [*[column] * 4, middle]
