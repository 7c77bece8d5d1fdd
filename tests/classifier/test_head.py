"""What may be put on a backbone, and what is refused."""

import dataclasses
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.test_options import GOOD
from toolkit.classifier.head import ACTIVATIONS, HEADS, INITIALIZERS, Head
from toolkit.errors import OptionError, UnknownNameError


@pytest.mark.parametrize(
    ("head", "features", "classes", "widths"),
    [
        (Head("mlp"), 1280, 10, [640]),
        (Head("mlp", layers=3), 1280, 10, [640, 320, 160]),
        (Head("mlp", layers=3), 1280, 300, [640, 320, 300]),
        (Head("mlp", layers=2, width=7), 1280, 10, [7, 7]),
    ],
)
def test_hidden_layers_are_a_funnel_unless_their_width_is_given(head, features, classes, widths):
    assert head.widths(features, classes) == widths


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("layers", 1),
        ("width", 64),
        ("activation", "relu"),
        ("batchnorm", True),
        ("initializer", "he"),
    ],
)
def test_a_linear_head_has_no_hidden_layers_to_speak_of(option, value):
    Head("mlp", **{option: value})
    with pytest.raises(OptionError, match="must be left out with --head linear") as error:
        Head("linear", **{option: value})
    assert "\n" not in str(error.value) and option in str(error.value)


def test_penalties_are_for_every_head():
    for kind in HEADS:
        assert Head(kind, l1=1e-4, l2=1e-3).l2 == 1e-3


@pytest.mark.parametrize(
    ("names", "near"),
    [
        ({"kind": "mpl"}, "There is no head 'mpl'. Did you mean: mlp?"),
        ({"kind": "mlp", "activation": "Leaky-ReLU"}, "Did you mean: leaky_relu, relu"),
        ({"kind": "mlp", "initializer": "gaussian"}, "Did you mean: small-gaussian"),
    ],
)
def test_the_nearest_names_are_offered_for_an_unknown_one(names, near):
    with pytest.raises(UnknownNameError) as error:
        Head(**names)
    assert near in str(error.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("head_layers", 0), ("head_width", 1.5), ("l1", -1.0), ("l2", float("nan"))],
)
def test_the_jobs_options_refuse_impossible_numbers(option, value):
    name = "--" + option.replace("_", "-")
    with pytest.raises(OptionError, match=f"^{name} must be"):
        dataclasses.replace(GOOD, head="mlp", **{option: value})


def test_the_jobs_options_make_the_head():
    options = dataclasses.replace(GOOD, head="mlp", head_layers=2, activation="gelu", l1=0.5)
    assert options.network_head == Head("mlp", 2, None, "gelu", False, None, 0.5, None)
    assert GOOD.network_head == Head()


def test_it_is_light():
    code = "import sys, toolkit.classifier.head; assert not {'numpy', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_all_names_are_different():
    assert len({*HEADS, *ACTIVATIONS, *INITIALIZERS}) == 2 + 8 + 7
