import re

import keras
import numpy as np
import pytest

from tests.networks import make_network, make_residual, with_head
from toolkit.classifier.architecture import architecture_difference
from toolkit.classifier.model import attach_head, make_penalty


def test_what_only_matters_in_training_is_no_difference():
    network = make_network()
    kernel, bias = np.ones((4, 3), np.float32), np.zeros(3, np.float32)
    one = attach_head(network, kernel, bias, dropout=0.1, seed=1)
    two = attach_head(make_network(seed=5), kernel, bias, 0.5, 2, make_penalty(0.0, 0.1))
    two.get_layer("logits").trainable = False
    assert one.layers[1].name != two.layers[1].name, "else the test would show nothing"
    assert architecture_difference(one, two) is None


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (make_network(filters=6), "Conv2D 'conv2d.*' with filters 6, not 4"),
        (make_network(size=20), "InputLayer 'input_layer.*' with another batch_shape"),
        (with_head(make_network()), "^has 7 layers, not 4$"),
        (make_residual(), "has Rescaling 'normalize' in the place of TrueDivide"),
    ],
    ids=["filters", "size", "layers", "network"],
)
def test_the_first_difference_is_named(other, difference):
    found = architecture_difference(make_network(), other)
    assert found is not None and re.search(difference, found), found


def test_layers_that_are_joined_otherwise_are_a_difference():
    def joined(around):
        inputs = keras.Input((4,))
        lower = keras.layers.Dense(4)(inputs)
        upper = keras.layers.Dense(4)(lower)
        pair = [upper, inputs if around else lower]
        return keras.Model(inputs, keras.layers.Add(name="sum")(pair))

    assert architecture_difference(joined(True), joined(True)) is None
    found = architecture_difference(joined(True), joined(False))
    assert found == "has Add 'sum' on other layers"


def test_other_statistics_of_the_images_are_a_difference():
    def normalized(mean):
        layer = keras.layers.Normalization(axis=(1, 2, 3), name="mean_image")
        inputs = keras.Input((2, 2, 3))
        model = keras.Model(inputs, keras.layers.Flatten()(layer(inputs)))
        layer.set_weights([np.full((2, 2, 3), mean), np.ones((2, 2, 3)), np.array(0)])
        layer.finalize_state()
        return model

    assert architecture_difference(normalized(1), normalized(1)) is None
    found = architecture_difference(normalized(1), normalized(2))
    assert found == "has Normalization 'mean_image' with other statistics"
