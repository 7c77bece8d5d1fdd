import inspect

import click
import pytest

import toolkit
from toolkit.cli.classify import classify
from toolkit.cli.evaluate import evaluate
from toolkit.cli.finetune import finetune


@pytest.mark.parametrize(
    ("command", "required"),
    [(finetune, {"data": "x"}), (classify, {"data": "x"}), (evaluate, {"model": "m", "data": "x"})],
)
def test_options_and_defaults_are_those_of_the_function(command, required):
    given = [required["model"]] if "model" in required else []
    parsed = command.make_context(command.name, [*given, "--data", required["data"]]).params
    assert parsed.pop("as_json") is False
    parameters = inspect.signature(getattr(toolkit, command.name)).parameters.values()
    expected = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert parsed == {**expected, **required}


@pytest.mark.parametrize("command", [finetune, classify, evaluate])
def test_options_are_named_after_the_parameters(command):
    for option in command.params:
        if isinstance(option, click.Option) and option.name != "as_json":
            assert option.opts == ["--" + option.name.replace("_", "-")]
