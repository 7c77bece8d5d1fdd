import keras
import numpy as np

from tests.networks import make_network, make_residual
from toolkit.classifier.identity import network_key, weights_digest


def test_weights_digest_is_of_values_and_order():
    def digest(*shapes: tuple, value: float = 0.5) -> str:
        inputs = keras.Input((4,))
        outputs = inputs
        for width in shapes:
            outputs = keras.layers.Dense(width, use_bias=False)(outputs)
        model = keras.Model(inputs, outputs)
        model.set_weights([np.full_like(w, value) for w in model.get_weights()])
        return weights_digest(model)

    assert digest(4, 4) == digest(4, 4)
    assert len({digest(4, 4), digest(4), digest(4, 4, value=0.25), digest(2, 8)}) == 4
    assert len(digest(4)) == 32


def test_a_networks_key_is_of_all_that_decides_what_it_computes(monkeypatch):
    keys = [network_key(make_network()), network_key(make_network())]
    assert keys[0] == keys[1], "whatever names Keras has counted up"
    assert set(keys[0]) == {"network", "layers", "weights", "keras", "backend"}

    def changed(other):
        return {name for name, value in network_key(other).items() if value != keys[0][name]}

    assert changed(make_network(seed=1)) == {"weights"}
    assert changed(make_network(filters=5)) == {"layers", "weights"}
    assert changed(make_network(size=20)) == {"layers"}
    assert changed(make_residual()) == {"network", "layers", "weights"}
    monkeypatch.setattr(keras, "__version__", "99.0")
    assert changed(make_network()) == {"keras"}


def test_the_order_in_which_layers_are_joined_is_a_part_of_the_key():
    def joined(swapped: bool) -> keras.Model:
        keras.utils.set_random_seed(0)
        pixels = keras.Input((4,))
        one, two = keras.layers.Dense(4)(pixels), keras.layers.Dense(4)(pixels)
        pair = [two, one] if swapped else [one, two]
        return keras.Model(pixels, keras.layers.Subtract()(pair), name="joined")

    one, two = network_key(joined(False)), network_key(joined(True))
    assert one["weights"] == two["weights"] or one["layers"] == two["layers"]
    assert one != two


def test_freezing_is_no_part_of_the_key():
    network = make_network()
    key = network_key(network)
    network.trainable = False
    assert network_key(network) == key
