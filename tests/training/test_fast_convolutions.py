"""Convolutions that take less time in training: they give the same, and nothing is left of them."""

import platform

import keras
import numpy as np
import pytest

from tests.networks import pixels
from toolkit import backbones
from toolkit.training.fast_convolutions import fast_convolutions
from toolkit.training.precision import computing_in
from toolkit.training.tensorflow_convolutions import depthwise_convolution

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ODD = [
    (5, {}),
    (7, {}),
    (9, {}),
    ((3, 5), {}),
    ((1, 5), {"use_bias": False}),
    ((5, 7), {"activation": "relu6"}),
    (3, {}),
    ((5, 3), {}),
    (1, {}),
]
NOT_ODD = [
    (4, {}),
    ((5, 4), {}),
    ((4, 7), {}),
    (5, {"strides": 2}),
    (5, {"dilation_rate": 2}),
    (5, {"padding": "valid"}),
    (5, {"depth_multiplier": 2}),
    (5, {"trainable": False}),
]
POINTWISE = [
    {},
    {"use_bias": False},
    {"activation": "relu6"},
    {"padding": "same"},
]
NOT_POINTWISE = [
    {"kernel_size": 3},
    {"kernel_size": (1, 2)},
    {"strides": 2},
    {"groups": 2},
    {"trainable": False},
]


@pytest.fixture(autouse=True)
def processor(monkeypatch):
    """Whatever runs the tests: what is computed is the same everywhere."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def make_model(*layers, size=9, dtype=None):
    """Some layers with their weights drawn, BatchNorm's as well, and more on both sides."""
    keras.utils.set_random_seed(0)
    images = keras.Input((size, size, 3))
    hidden = keras.layers.Conv2D(4, 3, dtype=dtype)(images / 255)
    for layer in layers:
        hidden = layer(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(keras.ops.tanh(hidden))
    model = keras.Model(images, keras.layers.Dense(3, dtype="float32")(hidden))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            scatter(layer)
    return model


def scatter(norm):
    """Draws its statistics, factors and offsets."""
    draw = np.random.default_rng(1)
    for weight in norm.weights:
        weight.assign(draw.uniform(0.5, 2, weight.shape))


def depthwise(kernel_size=5, **options):
    return keras.layers.DepthwiseConv2D(
        kernel_size, name="convolution", **{"padding": "same", **options}
    )


def pointwise(kernel_size=1, **options):
    return keras.layers.Conv2D(6, kernel_size, name="convolution", **options)


def frozen_norm(**options):
    return keras.layers.BatchNormalization(name="norm", trainable=False, **options)


def gradients_of(model):
    return gradients_at(model, model.input_shape[1])


def gradients_at(model, size):
    import tensorflow as tf

    images = tf.constant(pixels(6, size))
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_mean(tf.square(model(images, training=True) - [1.0, 0.0, -1.0]))
    sources = [images, *(variable.value for variable in model.trainable_variables)]
    return [each.numpy() for each in tape.gradient(loss, sources)]


def is_replaced(model, name="convolution"):
    return "call" in vars(model.get_layer(name))


def assert_the_same(model, name="convolution"):
    """What the model gives and its gradients stay the same, where a layer is replaced."""
    images = pixels(6, model.input_shape[1])
    outputs, gradients = model(images).numpy(), gradients_of(model)
    with fast_convolutions(model):
        assert is_replaced(model, name)
        np.testing.assert_allclose(model(images).numpy(), outputs, rtol=1e-5, atol=1e-6)
        found = gradients_of(model)
    assert len(found) == len(gradients)
    for one, other in zip(found, gradients, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize(("kernel_size", "options"), ODD)
@pytest.mark.parametrize("size", [6, 11, 12, 13])  # Two less where they come.
def test_gradients_of_odd_depthwise_kernels(kernel_size, options, size):
    assert_the_same(make_model(depthwise(kernel_size, **options), size=size))


@pytest.mark.parametrize("options", POINTWISE)
def test_gradients_of_pointwise_kernels(options):
    assert_the_same(make_model(pointwise(**options)))


@pytest.mark.parametrize(("kernel_size", "options"), NOT_ODD)
def test_other_depthwise_convolutions_are_left_alone(kernel_size, options):
    model = make_model(depthwise(kernel_size, **options))
    with fast_convolutions(model):
        assert not is_replaced(model)


@pytest.mark.parametrize("options", NOT_POINTWISE)
def test_other_convolutions_are_left_alone(options):
    model = make_model(pointwise(**options))
    with fast_convolutions(model):
        assert not is_replaced(model)


@pytest.mark.parametrize(
    "layer",
    [
        *[depthwise(kernel_size, **options) for kernel_size, options in ODD[:4]],
        *[pointwise(**options) for options in (*POINTWISE[:2], *NOT_POINTWISE)],
        depthwise(3, strides=2, depth_multiplier=3),
        depthwise(5, dilation_rate=2),
        keras.layers.Conv2D(4, 3, padding="valid", name="convolution"),
    ],
)
def test_a_frozen_batchnorm_goes_into_the_convolution_before_it(layer):
    layer = type(layer).from_config(layer.get_config())
    model = make_model(layer, frozen_norm(), keras.layers.ReLU(6.0))
    assert_the_same(model)
    assert_the_same(model, "norm")


@pytest.mark.parametrize("options", [{"center": False}, {"scale": False}, {"epsilon": 0.5}])
def test_batchnorm_without_offsets_or_factors(options):
    assert_the_same(make_model(pointwise(), frozen_norm(**options)), "norm")


def test_frozen_weights_stay_as_they_are_to_the_bit():
    model = make_model(pointwise(), frozen_norm())
    before = [value.copy() for value in model.get_layer("norm").get_weights()]
    model.compile("adam", "mse")
    with fast_convolutions(model):
        model.fit(pixels(8, 9), np.ones((8, 3)), epochs=2, verbose=0)
    for one, other in zip(model.get_layer("norm").get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batchnorm_that_is_trained_stays_by_itself():
    model = make_model(depthwise(4), keras.layers.BatchNormalization(name="norm"))
    with fast_convolutions(model):
        assert not is_replaced(model, "norm") and not is_replaced(model)


@pytest.mark.parametrize(
    "before",
    [
        lambda x: keras.layers.ReLU()(depthwise(3)(x)),
        lambda x: depthwise(3, activation="relu")(x),
        keras.layers.MaxPooling2D(),
    ],
)
def test_a_batchnorm_of_what_is_no_plain_convolution_stays_by_itself(before):
    model = make_model(before, frozen_norm())
    with fast_convolutions(model):
        assert not is_replaced(model, "norm")


def test_a_batchnorm_stays_by_itself_where_others_take_what_it_takes():
    def both(x):
        convolved = depthwise(4)(x)
        return frozen_norm()(convolved) + convolved

    model = make_model(both)
    with fast_convolutions(model):
        assert not is_replaced(model, "norm") and not is_replaced(model)
    images = keras.Input((9, 9, 3))
    convolved = depthwise(4)(images)
    model = keras.Model(images, [convolved, frozen_norm()(convolved)])
    with fast_convolutions(model):
        assert not is_replaced(model, "norm") and not is_replaced(model)


def test_a_batchnorm_stays_by_itself_where_a_model_begins_with_it():
    """As the upper part of a network may that normalizes before it convolves."""
    model = make_model(depthwise(), frozen_norm())
    upper = keras.Model(model.get_layer("norm").input, model.output)
    with fast_convolutions(upper):
        assert not is_replaced(upper, "norm")


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "mobilenetv2", "resnet50"])
def test_whole_networks(backbone):
    network = backbones.build(backbone, weights="random", image_size=64)
    norms = [x for x in network.layers if isinstance(x, keras.layers.BatchNormalization)]
    for norm in norms:
        scatter(norm)
        norm.trainable = False
    images = pixels(2, 64)
    expected = network(images).numpy()
    with fast_convolutions(network):
        assert all(is_replaced(network, norm.name) for norm in norms)
        found = network(images).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_whole_network_in_bfloat16():
    """About as far from what float32 gives as with Keras."""
    network = backbones.build("efficientnet-lite0", weights="random", image_size=64)
    images = pixels(8, 64)
    for norm in network.layers:
        if isinstance(norm, keras.layers.BatchNormalization):
            norm.trainable = False
    exact = network(images).numpy()
    with computing_in(network, "mixed_bfloat16"):
        by_keras = network(images).numpy()
        with fast_convolutions(network):
            found = network(images).numpy()
    assert np.linalg.norm(found - exact) <= 1.5 * np.linalg.norm(by_keras - exact)


def test_odd_kernels_alone_change_nothing_of_what_a_model_gives():
    model, images = make_model(depthwise()), pixels(4, 9)
    expected = model(images).numpy()
    with fast_convolutions(model):
        np.testing.assert_array_equal(model(images).numpy(), expected)


LOW = {"dtype": "mixed_bfloat16"}


@pytest.mark.parametrize(
    "layer",
    [
        *[pointwise(**LOW, **options) for options in (*POINTWISE[:2], {"strides": 2})],
        *[depthwise(**LOW, strides=stride, padding="valid") for stride in (1, 2, 3)],
        *[depthwise(side, **LOW, strides=2) for side in (3, 5, 7, (3, 5))],
        depthwise(3, **LOW),
    ],
)
@pytest.mark.parametrize("size", [9, 12])
def test_bfloat16_is_about_as_exact_as_keras_is_with_it(layer, size):
    """Against what float32 gives; the BatchNorm behind it goes in as well."""

    def made(policy):
        layers = [
            type(each).from_config({**each.get_config(), "dtype": policy})
            for each in (layer, frozen_norm())
        ]
        return make_model(*layers, size=size, dtype=policy)

    exact, model = made("float32"), made("mixed_bfloat16")
    images = pixels(6, size)
    outputs, gradients = model(images), gradients_of(model)
    with fast_convolutions(model):
        assert is_replaced(model) and is_replaced(model, "norm")
        found = [model(images), *gradients_of(model)]
    expected = [exact(images), *gradients_of(exact)]
    for one, keras_one, right in zip(found, [outputs, *gradients], expected, strict=True):
        error, keras_error = (np.linalg.norm(np.asarray(each) - right) for each in (one, keras_one))
        assert error <= max(2 * keras_error, 0.06 * np.linalg.norm(right))


@pytest.mark.parametrize("size", [(6, 7), (11, 12), (8, 13)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sides", [(1, 1), (3, 3), (5, 5), (3, 5), (5, 1)])
def test_gradients_of_depthwise_kernels_with_strides(sides, stride, padding, size):
    import tensorflow as tf

    draw = np.random.default_rng(0)
    images = tf.constant(draw.normal(size=(2, *size, 4)).astype(np.float32))
    kernel = tf.constant(draw.normal(size=(*sides, 4, 1)).astype(np.float32))

    def results(convolve):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            outputs = convolve()
            loss = tf.reduce_sum(tf.sin(outputs))
        return outputs, *tape.gradient(loss, [images, kernel])

    strides = [1, stride, stride, 1]
    found = results(lambda: depthwise_convolution(images, kernel, stride, padding))
    expected = results(lambda: tf.nn.depthwise_conv2d(images, kernel, strides, padding))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_images_of_any_size_have_tensorflows_gradient_where_there_is_a_stride():
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    model = keras.Model(images, depthwise(strides=2, **LOW)(images))
    expected = strided_gradients(model)
    with fast_convolutions(model):
        assert is_replaced(model)
        for one, other in zip(strided_gradients(model), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def strided_gradients(model):
    import tensorflow as tf

    images = tf.constant(pixels(2, 9) / 255)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.cast(model(images), "float32")))
    return tape.gradient(loss, [variable.value for variable in model.trainable_variables])


def test_a_batchnorm_of_another_precision_stays_by_itself():
    model = make_model(depthwise(**LOW), frozen_norm(dtype="float32"))
    with fast_convolutions(model):
        assert is_replaced(model) and not is_replaced(model, "norm")


def test_float16_is_left_alone():
    layers = pointwise(dtype="mixed_float16"), frozen_norm(dtype="mixed_float16")
    model = make_model(*layers, dtype="mixed_float16")
    with fast_convolutions(model):
        assert not is_replaced(model) and not is_replaced(model, "norm")


def test_nothing_is_done_where_it_would_not_help(monkeypatch):
    model = make_model(depthwise(), frozen_norm())
    with monkeypatch.context() as patch:
        patch.setattr(keras.backend, "backend", lambda: "jax")
        with fast_convolutions(model):
            assert not is_replaced(model) and not is_replaced(model, "norm")
    with monkeypatch.context() as patch:
        patch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
        with fast_convolutions(model):
            assert not is_replaced(model)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with fast_convolutions(model):
        assert not is_replaced(model)


def test_layers_are_themselves_again_afterwards_also_after_an_error(tmp_path):
    model = make_model(depthwise(), frozen_norm())
    expected = model(pixels(4, 9)).numpy()
    with pytest.raises(KeyError), fast_convolutions(model):
        raise KeyError
    assert not is_replaced(model) and not is_replaced(model, "norm")
    np.testing.assert_array_equal(model(pixels(4, 9)).numpy(), expected)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("convolution")) is keras.layers.DepthwiseConv2D


def test_no_kernel_gradient_is_of_more_than_three_columns(monkeypatch):
    import tensorflow as tf

    seen = []
    whole = tf.nn.depthwise_conv2d_backprop_filter

    def noting(images, sizes, *others):
        seen.append(sizes)
        return whole(images, sizes, *others)

    monkeypatch.setattr(tf.nn, "depthwise_conv2d_backprop_filter", noting)
    model = make_model(depthwise((5, 7)))
    with fast_convolutions(model):
        gradients_of(model)
    assert seen == [[5, 3, 4, 1], [5, 3, 8, 1], [5, 3, 12, 1]]


@pytest.mark.parametrize("size", [8, None])
def test_kernels_that_images_may_not_hold_have_tensorflows_gradient(size):
    """Images of 6 pixels a side, or of any number, and a kernel of 7."""
    keras.utils.set_random_seed(0)
    images = keras.Input((size, size, 3))
    hidden = keras.layers.Conv2D(4, 3)(images / 255)
    hidden = keras.layers.GlobalAveragePooling2D()(keras.ops.tanh(depthwise(7)(hidden)))
    model = keras.Model(images, keras.layers.Dense(3)(hidden))
    expected = gradients_at(model, 8)
    with fast_convolutions(model):
        assert is_replaced(model)
        for one, other in zip(gradients_at(model, 8), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())
