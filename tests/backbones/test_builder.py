import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

from toolkit.backbones import build, find, load, stage_layers
from toolkit.errors import OptionError, UnknownNameError

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def _clear_session():
    yield
    keras.backend.clear_session()


def _pixels(size, n=2):
    return np.random.default_rng(0).uniform(0, 255, (n, size, size, 3)).astype("float32")


def _run(model, pixels):
    """What a model gives, without compiling it first."""
    return np.asarray(model(pixels))


@pytest.mark.parametrize(
    "name",
    [
        "convnexttiny",  # layers that Keras has for this network only
        "efficientnet-lite0",  # a network of this project
        "efficientnetb0",  # a normalization with variables
        "mobilenetv3small",  # operations that are no layers
        "resnet50",  # a flip
    ],
)
def test_a_saved_network_is_loaded_without_custom_objects(name, tmp_path):
    loaded = load(name, weights="random", image_size=32)
    loaded.model.save(tmp_path / "model.keras")

    again = keras.saving.load_model(tmp_path / "model.keras")

    pixels = _pixels(32)
    np.testing.assert_allclose(_run(again, pixels), _run(loaded.model, pixels), rtol=1e-5)
    stages = {
        stage: [layer.name for layer in layers]
        for stage, layers in stage_layers(loaded.model, loaded.backbone).items()
    }
    for stage, layers in stage_layers(again, loaded.backbone).items():
        assert [layer.name for layer in layers] == stages[stage]


@pytest.mark.parametrize("name", ["inceptionv3", "mobilenetv3small"])
def test_stages_are_the_same_however_many_networks_were_built_before(name):
    first, second = (load(name, weights="random", image_size=75) for _ in range(2))

    # Their layers' own names differ, or this would show nothing.
    assert [layer.name for layer in first.model.layers] != [x.name for x in second.model.layers]
    kinds = [
        {
            stage: [(type(layer), layer.count_params()) for layer in layers]
            for stage, layers in stage_layers(loaded.model, loaded.backbone).items()
        }
        for loaded in (first, second)
    ]
    assert kinds[0] == kinds[1]


def test_stages_of_another_network_are_refused():
    model = build("mobilenetv2", weights="random", image_size=32)
    with pytest.raises(ValueError, match="no resnet50: it has no layer 'conv2_block1_1_conv'"):
        stage_layers(model, find("resnet50"))


@pytest.mark.parametrize("name", ["convnexttiny", "efficientnetb0", "mobilenetv2", "resnet50"])
def test_published_weights_give_the_features_that_keras_gives(name, tmp_path, monkeypatch):
    backbone = find(name)
    constructor = getattr(keras.applications, backbone.constructor.rpartition(".")[2])
    arguments = {"include_top": False, "pooling": "avg", "input_shape": (32, 32, 3)}
    path = tmp_path / "weights.h5"
    _write_published(constructor(weights=None, **arguments), path)
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **kwargs: str(path))
    if name == "mobilenetv2":
        # At another size than 224 Keras warns that it takes the weights made for 224.
        with pytest.warns(UserWarning, match="Weights for input shape"):
            reference = constructor(weights="imagenet", **arguments)
    else:
        reference = constructor(weights="imagenet", **arguments)

    model = build(name, weights=path, image_size=32)

    pixels = _pixels(32)
    module = getattr(keras.applications, {"mobilenetv2": "mobilenet_v2"}.get(name, "resnet"))
    inside = backbone.normalization in ("builtin", "efficientnet")
    inputs = pixels if inside else module.preprocess_input(pixels.copy())
    expected = _run(reference, inputs)
    features = _run(model, pixels)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def _write_published(network, path):
    """The network's weights in the format that Keras publishes, every variable another."""
    random = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            # As in EfficientNet's file: deviations in the variances' place.
            values = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 0
            layer.set_weights([np.array(value) for value in values])
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)


def test_random_weights_follow_the_seed():
    def kernel(seed):
        keras.utils.set_random_seed(seed)
        model = build("mobilenetv2", weights="random", image_size=32)
        return model.get_layer("Conv_1").get_weights()[0]

    first, again, other = kernel(0), kernel(0), kernel(1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_features_are_the_average_over_all_places():
    model = build("efficientnet-lite0", weights="random", image_size=64)
    places = keras.Model(model.input, model.get_layer("top_activation").output)
    pixels = _pixels(64)

    features = _run(model, pixels)

    places = _run(places, pixels)
    assert places.shape == (2, 2, 2, 1280)
    np.testing.assert_allclose(features, places.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenetv3small"])
def test_classification_layer_gives_probabilities(name):
    model = build(name, weights="random", classification_layer=True)

    probabilities = _run(model, _pixels(224))

    assert probabilities.shape == (2, 1000)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.min() >= 0


def test_random_weights_say_so():
    origin = load("mobilenetv2", weights="random", image_size=32).weights_origin
    assert (origin.source, origin.path, origin.sha256) == ("random", None, None)


@pytest.mark.parametrize(
    ("image_size", "shape"),
    [(None, (224, 224)), (40, (40, 40)), ((32, 64), (32, 64))],
)
def test_image_size_is_one_number_or_height_and_width(image_size, shape):
    model = build("mobilenetv2", weights="random", image_size=image_size)
    assert model.input_shape == (None, *shape, 3)
    assert model.output_shape == (None, 1280)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "inceptionv3", "image_size": 74},
            "image_size must be at least 75 for inceptionv3. Received: 74",
        ),
        (
            {"name": "xception", "image_size": (70, 100)},
            "image_size must be at least 71 for xception. Received: (70, 100)",
        ),
        (
            {"name": "ResNet50", "image_size": 256, "classification_layer": True},
            "image_size must be 224 for resnet50 with its classification layer. Received: 256",
        ),
    ],
)
def test_a_bad_image_size_is_told_with_what_is_possible(options, message):
    with pytest.raises(OptionError) as error:
        build(**options, weights="random")
    assert str(error.value) == message


def test_an_unknown_name_builds_nothing():
    with pytest.raises(UnknownNameError, match="no backbone 'resnet18'"):
        build("resnet18", weights="random")


def test_normalization_stays_exact_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("mobilenetv2", weights="random", image_size=32)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("normalize").compute_dtype == "float32"
    assert model.get_layer("Conv1").compute_dtype == "bfloat16"
