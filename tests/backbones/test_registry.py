import re
import subprocess
import sys

import pytest

from toolkit.backbones.registry import BACKBONES, PackagedFile, PublishedFile, find
from toolkit.errors import UnknownNameError


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("resnet50", "resnet50"),
        ("ResNet50", "resnet50"),
        ("resnet-50", "resnet50"),
        ("Res Net_50", "resnet50"),
        ("EfficientNet-Lite0", "efficientnet-lite0"),
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("EfficientNetV2-B0", "efficientnetv2b0"),
        ("mobilenet_v3_large", "mobilenetv3large"),
    ],
)
def test_names_are_forgiving(spelling, name):
    assert find(spelling).name == name


def test_no_two_names_differ_only_in_separators():
    assert len({re.sub("[-_ ]", "", name.lower()) for name in BACKBONES}) == len(BACKBONES)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_entry_is_found_by_its_own_name_and_by_its_constructor(name):
    assert find(name) is BACKBONES[name]
    assert find(BACKBONES[name].constructor.rpartition(".")[2]) is BACKBONES[name]


def test_a_wrong_name_gets_the_nearest_names_and_where_all_are_listed():
    with pytest.raises(UnknownNameError) as error:
        find("resnet51")

    assert str(error.value) == (
        "There is no backbone 'resnet51'. Did you mean: resnet50, resnet152, resnet101? "
        "`toolkit backbones` lists them."
    )


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_entries_are_complete(backbone):
    names = [stage.name for stage in backbone.stages]
    assert len(set(names)) == len(names) > 1
    assert 1 <= backbone.unfreeze < len(names)
    assert not {"none", "all"} & set(names) and not any(name.isdigit() for name in names)
    first, *others = backbone.stages
    assert first.first_layer is first.after_layer is None
    assert all((stage.first_layer is None) != (stage.after_layer is None) for stage in others)
    assert 32 <= backbone.min_size <= backbone.input_size <= 600
    assert backbone.feature_width < backbone.parameters
    assert backbone.top1 is None or 60 < backbone.top1 < 100
    assert backbone.licence in {"Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0"}


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_weights_are_published_with_a_hash_or_packaged(backbone):
    for file in (backbone.weights_notop, backbone.weights_top):
        if isinstance(file, PackagedFile):
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            continue
        assert isinstance(file, PublishedFile)
        assert re.fullmatch(r"\w[\w.-]*\.h5", file.filename)
        assert file.url.startswith("https://storage.googleapis.com/") and file.url.endswith(".h5")
        if backbone.name in ("mobilenet", "mobilenetv2"):  # Keras publishes none.
            assert file.hash is None
        else:
            assert re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", file.hash)


def test_no_file_or_hash_is_given_twice():
    files = [
        file
        for backbone in BACKBONES.values()
        for file in (backbone.weights_notop, backbone.weights_top)
        if isinstance(file, PublishedFile)
    ]
    hashes = [file.hash for file in files if file.hash]
    assert len({file.filename for file in files}) == len(files)
    assert len({file.url for file in files}) == len(files)
    assert len(set(hashes)) == len(hashes)


def test_the_packaged_lite0_is_installed():
    assert find("efficientnet-lite0").weights_notop.path().is_file()


def test_importing_the_registry_is_light():
    code = (
        "import sys, toolkit.backbones, toolkit.backbones.registry; toolkit.backbones.BACKBONES; "
        "print([name for name in ('numpy', 'keras', 'tensorflow', 'jax') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert output.stdout.strip() == b"[]"
