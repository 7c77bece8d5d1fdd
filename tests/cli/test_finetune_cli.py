import inspect

import click
import pytest

import toolkit
from toolkit.cli.evaluate import evaluate
from toolkit.cli.find_lr import NOT_TAKEN, find_lr
from toolkit.cli.finetune import finetune


@pytest.mark.parametrize(
    ("command", "required"),
    [(finetune, {"data": "x"}), (evaluate, {"model": "m", "data": "x"})],
)
def test_options_and_defaults_are_those_of_the_function(command, required):
    given = [required["model"]] if "model" in required else []
    parsed = command.make_context(command.name, [*given, "--data", required["data"]]).params
    assert parsed.pop("as_json") is False
    parameters = inspect.signature(getattr(toolkit, command.name)).parameters.values()
    expected = {p.name: p.default for p in parameters if p.default is not p.empty}
    expected.pop("callbacks", None)  # They are Python alone.
    of_source = inspect.signature(toolkit.Source).parameters
    assert {k: v for k, v in parsed.items() if k not in of_source} == {**expected, **required}


@pytest.mark.parametrize("command", [finetune, evaluate])
def test_options_are_named_after_the_parameters(command):
    for option in command.params:
        if isinstance(option, click.Option) and option.name != "as_json":
            assert option.opts == ["--" + option.name.replace("_", "-")]


def test_find_lr_takes_those_of_finetune_that_decide_what_is_trained():
    from toolkit import finding_lr

    assert {*finding_lr.NOT_TAKEN} == NOT_TAKEN | {"callbacks"}
    own, other = ({o.name: o for o in command.params} for command in (find_lr, finetune))
    assert NOT_TAKEN.isdisjoint(own)
    assert {*other} - NOT_TAKEN <= {*own} and {*own} - {*other} == {"output", "steps"}
    parsed = find_lr.make_context("find-lr", ["--data", "x", "--unfreeze", "3"]).params
    assert parsed["unfreeze"] == 3 and parsed["backbone"] == "efficientnet-lite0"
    parameters = inspect.signature(toolkit.find_lr).parameters
    assert all(parsed[name] == parameters[name].default for name in ("output", "steps", "quiet"))
