import importlib
import inspect

import click
import pytest

import toolkit

VERBS = ("finetune", "evaluate", "audit", "augment", "split")
OTHER_DEFAULTS = {"evaluate": {"output"}}
"""What the command line chooses, where the function leaves it open."""
NOT_OPTIONS = {"check": "no_check"}


def command_of(verb: str) -> click.Command:
    return getattr(importlib.import_module(f"toolkit.cli.{verb}"), verb)


def defaults_of(function: object) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@pytest.mark.parametrize("verb", VERBS)
def test_options_and_defaults_are_those_of_the_function(verb):
    command = command_of(verb)
    arguments = [p.name for p in command.params if isinstance(p, click.Argument)]
    option = [] if "data" in arguments else ["--data", "x"]
    parsed = command.make_context(verb, ["x"] * len(arguments) + option).params
    for name in ("as_json", *arguments, "data"):
        parsed.pop(name, None)
    source = {name: parsed.pop(name, None) or None for name in defaults_of(toolkit.Source)}
    assert set(source.values()) == {None}, "nothing is said of the data by default"
    expected = defaults_of(getattr(toolkit, verb))
    expected.pop("callbacks", None)  # They are Python alone.
    assert parsed.keys() == expected.keys()
    same = expected.keys() - OTHER_DEFAULTS.get(verb, set())
    assert {name: parsed[name] for name in same} == {name: expected[name] for name in same}


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_named_after_the_parameters(verb):
    for option in command_of(verb).params:
        if isinstance(option, click.Option) and option.name != "as_json":
            name = NOT_OPTIONS.get(option.name, option.name)
            assert option.opts == ["--" + name.replace("_", "-")]


@pytest.mark.parametrize("verb", VERBS)
def test_whoever_reads_data_takes_all_that_can_be_said_of_them(verb):
    names = {parameter.name for parameter in command_of(verb).params}
    assert names >= {"columns", "root", "data_dir", "exclude"}
    grouped = {"group_by", "group_near_duplicates"}
    assert grouped <= names or not grouped & names
