import importlib
import inspect

import click
import pytest

import toolkit
from toolkit.cli import find_lr as find_lr_module
from toolkit.cli.find_lr import NOT_TAKEN as NOT_TAKEN_HERE
from toolkit.cli.member_options import take_members

VERBS = ("finetune", "classify", "evaluate", "audit", "augment", "split")
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
    if verb == "finetune":
        assert take_members(parsed) is None
    assert parsed.keys() == expected.keys()
    same = expected.keys() - OTHER_DEFAULTS.get(verb, set())
    assert {name: parsed[name] for name in same} == {name: expected[name] for name in same}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--folds", "3"], {"backbones": ["efficientnet-lite0"], "folds": 3}),
        (["--backbone", "a, b"], {"backbones": ["a", "b"]}),
        (["--seeds", "2", "--snapshots", "4"], {"seeds": 2, "snapshots": 4}),
    ],
)
def test_what_asks_for_several_members(given, expected):
    parsed = command_of("finetune").make_context("finetune", ["--data", "x", *given]).params
    members = take_members(parsed)
    usual = {"backbones": ["efficientnet-lite0"], "folds": None, "seeds": 1, "snapshots": 1}
    assert members == {**usual, **expected}
    own = inspect.signature(toolkit.finetune_members).parameters
    assert set(members) <= set(own)
    assert parsed.keys() - {"as_json", *defaults_of(toolkit.Source)} <= {
        *own,
        *inspect.signature(toolkit.finetune).parameters,
    }


@pytest.mark.parametrize("verb", ["ensemble", "soup"])
def test_the_options_of_what_joins_models_are_those_of_the_function(verb):
    parsed = command_of(verb).make_context(verb, ["a", "b", "--name", "both"]).params
    source = {"columns", "root", "data_dir", "exclude"}
    expected = defaults_of(getattr(toolkit, verb))
    assert parsed.keys() - {"as_json", *source} == expected.keys() | {"models", "name"}
    assert {name: parsed[name] for name in expected} == expected


def test_find_lr_takes_what_decides_what_is_trained():
    from toolkit.finding_lr import NOT_TAKEN

    finetune = command_of("finetune").make_context("finetune", ["--data", "x"]).params
    find_lr = find_lr_module.find_lr.make_context("find-lr", ["--data", "x"]).params
    assert {**finetune, **find_lr} == find_lr | {name: finetune[name] for name in NOT_TAKEN_HERE}
    assert set(NOT_TAKEN) == {*NOT_TAKEN_HERE, "callbacks"} - {"folds", "seeds", "snapshots"}


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


@pytest.mark.parametrize(
    ("given", "momentum"), [([], 0.0), (["--ema"], 0.99), (["--ema", "0.5"], 0.5)]
)
def test_an_average_has_a_momentum_without_naming_one(given, momentum):
    finetune = command_of("finetune")
    parsed = finetune.make_context("finetune", ["--data", "x", *given, "--quiet"]).params
    assert (parsed["ema"], parsed["quiet"]) == (momentum, True)


@pytest.mark.parametrize(
    ("given", "share"), [([], 0.0), (["--swa"], 0.25), (["--swa", "0.4"], 0.4)]
)
def test_the_last_epochs_are_averaged_without_naming_a_share(given, share):
    finetune = command_of("finetune")
    parsed = finetune.make_context("finetune", ["--data", "x", *given, "--quiet"]).params
    assert (parsed["swa"], parsed["ema"]) == (share, 0.0)
