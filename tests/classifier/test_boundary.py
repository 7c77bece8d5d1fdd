import contextlib

import keras
import numpy as np
import pytest

from tests.networks import make_residual, pixels, stages_of, with_head
from toolkit import backbones
from toolkit.classifier.boundary import cut_below, cuts_where_narrow
from toolkit.classifier.model import HEAD, freeze_below, frozen_layers, logits_model

STAGES = ("normalize", "stem", "block1", "block2", "pool")


def cut_for(network: keras.Model, unfreeze: int):
    """The classifier, and how it is cut where so many top stages are trained."""
    model, stages = with_head(network), stages_of(network)
    trained = freeze_below(model, stages, unfreeze)
    return model, cut_below(model, frozen_layers(stages, trained), network.name)


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return logits_model(model).predict_on_batch(images)


@pytest.mark.parametrize(
    ("unfreeze", "boundary", "shape"),
    [
        (0, "pool", (8,)),  # All is frozen but the head.
        (1, "block2_relu", (4, 4, 8)),
        (2, "block1_relu", (4, 4, 8)),
        (3, "stem_relu", (8, 8, 8)),
        (4, "normalize", (16, 16, 3)),
    ],
)
def test_lower_and_upper_part_together_are_the_whole(unfreeze, boundary, shape):
    model, cut = cut_for(make_residual(), unfreeze)

    assert cut.lower.name == f"residual-to-{boundary}"
    assert cut.upper.name == f"residual-from-{boundary}"
    assert cut.lower.output_shape == cut.upper.input_shape == (None, *shape)
    activations = cut.lower.predict_on_batch(pixels(4))
    upper = cut.upper.predict_on_batch(activations)
    np.testing.assert_allclose(upper, logits(model, pixels(4)), rtol=1e-5, atol=1e-5)


def test_where_nothing_is_frozen_there_is_no_cut():
    assert cut_for(make_residual(), len(STAGES))[1] is None


def test_every_layer_is_on_its_side(unfreeze=2):
    network = make_residual()
    model, cut = cut_for(network, unfreeze)
    frozen = [layer for name in STAGES[:-unfreeze] for layer in stages_of(network)[name]]

    assert {layer.name for layer in cut.lower.layers} == {layer.name for layer in frozen}
    below = {id(weight) for weight in cut.lower.weights}
    above = {id(weight) for weight in cut.upper.weights}
    assert not below & above
    assert below | above == {id(weight) for weight in model.weights}
    assert [id(v) for v in cut.upper.trainable_variables] == [
        id(v) for v in model.trainable_variables
    ], "so that a checkpoint of one fits the other"


def test_training_the_upper_part_trains_the_whole_and_nothing_below_or_frozen():
    model, cut = cut_for(make_residual(), 2)
    images, labels = pixels(12), np.arange(12) % 3
    activations = cut.lower.predict_on_batch(images)
    before = {weight.path: np.array(weight) for weight in model.weights}
    cut.upper.compile(
        keras.optimizers.AdamW(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    cut.upper.fit(activations, labels, batch_size=4, epochs=2, verbose=0)

    changed = {w.path for w in model.weights if not np.array_equal(before[w.path], w)}
    assert changed == {w.path for w in model.trainable_variables}
    assert any(path.startswith("block2_conv") for path in changed)
    assert {f"{HEAD}/kernel", f"{HEAD}/bias"} <= changed
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {w.path for layer in norms for w in layer.weights}.isdisjoint(changed)
    np.testing.assert_array_equal(cut.lower.predict_on_batch(images), activations)
    upper = cut.upper.predict_on_batch(activations)
    np.testing.assert_allclose(upper, logits(model, images), rtol=1e-5, atol=1e-5)


def test_training_the_upper_part_is_training_the_whole():
    weights = []
    for cached in (True, False):
        model, cut = cut_for(make_residual(), 2)
        images = pixels(12)
        trained = cut.upper if cached else logits_model(model)
        inputs = cut.lower.predict_on_batch(images) if cached else images
        trained.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        trained.fit(inputs, np.arange(12) % 3, batch_size=4, epochs=2, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_a_model_that_was_cut_is_saved_as_before(tmp_path):
    model, cut = cut_for(make_residual(), 2)
    expected = model.predict_on_batch(pixels(4))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch(pixels(4)), expected, rtol=1e-5)
    assert len(again.layers) == len(model.layers)
    assert cut is not None


def make_two_lanes(meeting: str) -> keras.Model:
    """Two lanes from the stem up, which meet in a stage."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    stem = keras.layers.Conv2D(4, 3, strides=4, padding="same", name="stem_conv")(inputs)
    one = keras.layers.Conv2D(4, 3, padding="same", name="lanes_one")(stem)
    two = keras.layers.Conv2D(4, 3, padding="same", name="lanes_two")(stem)
    one = keras.layers.Activation("relu", name=f"{meeting}_relu")(one)
    joined = keras.layers.Add(name="meeting_add")([one, two])
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="top_pool")(joined))


def test_where_two_tensors_cross_there_is_no_cut_and_below_and_above_there_is():
    cuts = {unfreeze: cut_for(make_two_lanes("meeting"), unfreeze)[1] for unfreeze in range(5)}

    assert cuts[2] is None, "both lanes cross"
    assert cuts[1].lower.output.name.startswith("keras_tensor")
    assert cuts[1].lower.layers[-1].name == "meeting_add"
    assert cuts[3].lower.layers[-1].name == "stem_conv"
    assert cuts[4] is None, "nothing is frozen"


def test_a_tensor_that_several_layers_above_take_is_one_boundary():
    inputs = keras.Input((16, 16, 3))
    stem = keras.layers.Conv2D(4, 3, strides=4, padding="same", name="stem_conv")(inputs)
    one = keras.layers.Conv2D(4, 1, name="top_one")(stem)
    twice = keras.layers.Multiply(name="top_multiply")([stem, stem])
    pooled = keras.layers.GlobalAveragePooling2D(name="top_pool")(one + twice + stem)
    model, cut = cut_for(keras.Model(inputs, pooled, name="shared"), 1)

    assert cut.lower.layers[-1].name == "stem_conv"
    upper = cut.upper.predict_on_batch(cut.lower.predict_on_batch(pixels(4)))
    np.testing.assert_allclose(upper, logits(model, pixels(4)), rtol=1e-5, atol=1e-5)


def test_operations_that_are_no_layers_are_on_the_side_that_they_depend_on():
    inputs = keras.Input((16, 16, 3))
    stem = keras.layers.Conv2D(4, 3, strides=4, name="stem_conv")(inputs / 255)
    doubled = 2 * stem  # Depends on what is frozen alone.
    top = keras.layers.Conv2D(4, 1, name="top_conv")(doubled)
    pooled = keras.layers.GlobalAveragePooling2D(name="top_pool")(top * keras.ops.sigmoid(top))
    model, cut = cut_for(keras.Model(inputs, pooled, name="operations"), 1)

    assert [layer.name for layer in cut.upper.layers if layer.weights] == ["top_conv", HEAD]
    lower = cut.lower.predict_on_batch(pixels(4))
    stem_alone = keras.Model(inputs, stem).predict_on_batch(pixels(4))
    np.testing.assert_allclose(lower, 2 * stem_alone, rtol=1e-5)
    upper = cut.upper.predict_on_batch(lower)
    np.testing.assert_allclose(upper, logits(model, pixels(4)), rtol=1e-5, atol=1e-5)


def test_dropout_of_the_head_acts_in_the_upper_part():
    network = make_residual()
    model, stages = with_head(network, dropout=0.9), stages_of(network)
    trained = freeze_below(model, stages, 1)
    cut = cut_below(model, frozen_layers(stages, trained))
    activations = cut.lower.predict_on_batch(pixels(8))

    assert cut.lower.name.startswith("network-to-")
    still, dropped = (np.asarray(cut.upper(activations, training=t)) for t in (False, True))
    np.testing.assert_allclose(still, logits(model, pixels(8)), rtol=1e-5, atol=1e-5)
    assert not np.allclose(still, dropped)


@pytest.mark.parametrize(
    ("name", "place"),
    [("mobilenetv3small", True), ("resnet50v2", True), ("nasnetmobile", False)],
)
def test_real_networks_are_cut_where_their_default_stages_begin(name, place):
    """NASNet's cells take the two before them."""
    with contextlib.nullcontext() if place else keras.StatelessScope(initialize_variables=False):
        loaded = backbones.load(name, weights="random", image_size=32)
    stages = backbones.stage_layers(loaded.model, loaded.backbone)
    model = with_head(loaded.model)
    trained = freeze_below(model, stages, loaded.backbone.unfreeze)

    cut = cut_below(model, frozen_layers(stages, trained), name)

    assert (cut is not None) == place
    if cut:
        assert list(map(id, cut.upper.trainable_variables)) == list(
            map(id, logits_model(model).trainable_variables)
        )
        assert {layer.name for layer in cut.lower.layers} <= {
            layer.name for layer in frozen_layers(stages, trained)
        } | {op.name for op in loaded.model.operations if op not in loaded.model.layers}
        upper = cut.upper(cut.lower(pixels(2, 32)))
        whole = logits_model(model)(pixels(2, 32))
        np.testing.assert_allclose(upper, whole, rtol=1e-4, atol=1e-4)
    keras.backend.clear_session()


def test_a_network_is_cut_where_it_is_narrower_than_before():
    network = make_residual()

    cuts = cuts_where_narrow(network, 9)

    places = [cut.lower.layers[-1].name for cut in cuts]
    assert places == ["stem_conv", "block1_add"]  # 16 x 16 x 3, then 8 x 8 x 8, then 4 x 4 x 8.
    assert [cut.lower.name for cut in cuts] == ["residual-fine"] * 2
    assert [cut.upper.name for cut in cuts] == ["residual-coarse"] * 2
    expected = network.predict_on_batch(pixels(4))
    for cut in cuts:
        together = cut.upper.predict_on_batch(cut.lower.predict_on_batch(pixels(4)))
        np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-6)
    assert len(cuts_where_narrow(network, 1)) == 1


def test_layers_that_widen_an_image_are_not_cut_off_before_it_narrows_again():
    inputs = keras.Input((16, 16, 3))
    scaled = keras.layers.Rescaling(2.0, name="scaled")(inputs)
    wide = keras.layers.Conv2D(8, 3, padding="same", name="wide")(scaled)
    less = keras.layers.Conv2D(4, 1, name="less")(wide)  # Wider than an image, narrower than wide.
    again = keras.layers.Conv2D(6, 1, name="again")(less)
    small = keras.layers.MaxPooling2D(4, name="small")(again)
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(small))

    places = [cut.lower.layers[-1].name for cut in cuts_where_narrow(network, 9)]
    assert places == ["less", "small"]


def test_it_is_not_cut_inside_of_a_residual_block():
    inputs = keras.Input((16, 16, 3))
    wide = keras.layers.Conv2D(8, 3, padding="same", name="wide")(inputs)
    narrow = keras.layers.Conv2D(1, 1, strides=4, name="narrow")(wide)
    back = keras.layers.UpSampling2D(4, name="back")(narrow)
    joined = keras.layers.Multiply(name="joined")([wide, back])
    small = keras.layers.MaxPooling2D(4, name="small")(joined)
    top = keras.layers.Conv2D(2, 1, name="top")(small)
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(top))

    (cut,) = cuts_where_narrow(network, 1)
    assert cut.lower.layers[-1].name == "small"


def test_a_network_without_a_narrow_place_before_its_end_is_not_cut():
    inputs = keras.Input((16, 16, 3))
    wide = keras.layers.Conv2D(8, 3, padding="same")(inputs)
    assert not cuts_where_narrow(keras.Model(inputs, keras.layers.Flatten()(wide)), 9)
    pooled = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(wide))
    assert not cuts_where_narrow(pooled, 9)


def test_a_network_can_be_cut_again_and_again():
    network = make_residual()
    expected = network.predict_on_batch(pixels(2))
    for _ in range(3):
        (narrow,) = cuts_where_narrow(network, 1)
        model, cut = cut_for(network, 2)
    together = narrow.upper.predict_on_batch(narrow.lower.predict_on_batch(pixels(2)))
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-6)
    upper = cut.upper.predict_on_batch(cut.lower.predict_on_batch(pixels(2)))
    np.testing.assert_allclose(upper, logits(model, pixels(2)), rtol=1e-5, atol=1e-5)
    below = cuts_where_narrow(cut.lower, 1)[0]
    again = below.upper.predict_on_batch(below.lower.predict_on_batch(pixels(2)))
    np.testing.assert_allclose(again, cut.lower.predict_on_batch(pixels(2)), rtol=1e-5, atol=1e-6)
