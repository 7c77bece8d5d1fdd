import keras
import numpy as np

from tests.networks import make_network, pixels, with_head
from toolkit.classifier.soup import average_weights, weights_for_classes


def test_the_average_is_exact_and_keeps_each_type():
    # In float32, 1 would be lost beside 2^24, and 2^24 + 1 be no number.
    arrays = [np.array([2**24, 1], np.float32), np.array([1, 3], np.float32)]
    counts = [np.array(3, np.int64), np.array(4, np.int64)]
    mean, count = average_weights(list(zip(arrays, counts, strict=True)))
    np.testing.assert_array_equal(mean, np.array([(2**24 + 1) / 2, 2], np.float32))
    assert mean.dtype == np.float32
    assert count.dtype == np.int64
    assert count == 4


def test_the_average_of_one_is_itself():
    weights = make_network().get_weights()
    for one, same in zip(weights, average_weights([weights]), strict=True):
        np.testing.assert_array_equal(one, same)


def test_linear_models_give_the_average_of_their_logits():
    models = [with_head(make_network()) for _ in range(2)]
    kernel, bias = models[1].get_layer("logits").get_weights()
    models[1].get_layer("logits").set_weights([-3 * kernel, bias + 1])
    images = pixels(5)
    logits = [keras.Model(m.input, m.get_layer("logits").output)(images) for m in models]
    models[0].set_weights(average_weights([model.get_weights() for model in models]))
    given = keras.Model(models[0].input, models[0].get_layer("logits").output)(images)
    np.testing.assert_allclose(given, np.mean(logits, axis=0), atol=1e-5)


def test_classes_in_another_order_are_the_same_classifier():
    for activation in ("softmax", "linear"):
        keras.utils.set_random_seed(1)
        inputs = keras.Input((4,))
        outputs = keras.layers.Dense(3, activation, bias_initializer="normal")(inputs)
        if activation == "linear":
            outputs = keras.layers.Softmax()(outputs)
        model = keras.Model(inputs, outputs)
        batch, order = np.random.default_rng(0).normal(size=(5, 4)), np.array([2, 0, 1])
        before = np.asarray(model(batch))
        model.set_weights(weights_for_classes(model, order))
        np.testing.assert_allclose(model(batch), before[:, order], atol=1e-6)


def test_an_end_that_is_not_linear_keeps_its_order():
    inputs = keras.Input((4,))
    for layer in (keras.layers.Dense(3, "relu"), keras.layers.LayerNormalization()):
        model = keras.Model(inputs, keras.layers.Softmax()(layer(keras.layers.Dense(3)(inputs))))
        assert weights_for_classes(model, np.array([2, 0, 1])) is None
        assert weights_for_classes(model, np.arange(3)) is not None
