import itertools
import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.cli import main as main_module
from toolkit.cli.main import VERBS, run
from toolkit.errors import ToolkitError

HEAVY = ("numpy", "keras", "tensorflow", "jax", "sklearn", "scipy", "PIL", "h5py", "rich.console")


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys; from toolkit.cli.main import toolkit;"
        "toolkit(sys.argv[1:], standalone_mode=False);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout.startswith("Usage:")


def test_help_is_fast():
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert run_toolkit("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


def test_help_shows_every_verb_and_examples(capsys):
    assert run([]) == 0
    alone = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == alone
    for verb, line in VERBS.items():
        assert f"{verb} " in alone and line in alone
    assert "toolkit finetune --data ./images" in alone


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_for_every_option(verb):
    command = main_module.toolkit.get_command(None, verb)
    options = [p for p in command.params if p.param_type_name == "option"]
    assert all(option.help for option in options)
    assert command.help


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "No such command 'train'"),
        (["finetune"], "Missing option '--data'"),
        (["finetune", "--data", "x", "--epoch", "3"], "--epochs"),
        (["finetune", "--data", "x", "--epochs", "many"], "'many' is not a valid integer"),
        (["finetune", "--data", "x", "--views", "many"], "'many' is not a valid integer"),
        (["finetune", "--data", "x", "--split", "most"], "Received: most"),
        (["cache", "--empty"], "No such option '--empty'"),
        (["predict", "models/x"], "Missing argument 'PATHS...'"),
        (["predict", "models/x", "y", "--format", "xml"], "'xml' is not one of"),
        (["predict", "models/x", "y", "--top", "0"], "0 is not in the range x>=1"),
        (["evaluate", "models/x"], "Missing option '--data'"),
    ],
)
def test_wrong_usage_is_told_in_two_lines(capsys, arguments, message):
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first.startswith("Error: ") and message in first
    assert second.startswith("Options and examples: toolkit") and second.endswith(" --help")


def raising(monkeypatch, error):
    def fail():
        raise error

    command = main_module.click.command(name="backbones")(fail)
    monkeypatch.setattr(main_module._Verbs, "get_command", lambda *_: command)


def test_what_the_user_can_mend_has_no_traceback(monkeypatch, capsys):
    raising(monkeypatch, ToolkitError("It must be so. Received: [red]. Do this."))
    assert run(["backbones"]) == 2
    assert capsys.readouterr().err == "Error: It must be so. Received: [red]. Do this.\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    raising(monkeypatch, KeyError("bug"))
    with pytest.raises(KeyError, match="bug"):
        run(["backbones"])


def test_ctrl_c_has_a_line_and_its_own_code(monkeypatch, capsys):
    raising(monkeypatch, KeyboardInterrupt())
    assert run(["backbones"]) == 130
    assert capsys.readouterr().err.strip() == (
        "Interrupted. finetune goes on from there with --resume."
    )


@pytest.mark.parametrize("arguments", [["backbones", "--json"], ["backbones"]])
def test_a_reader_that_has_seen_enough_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run_toolkit(*arguments, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_what_a_terminal_cannot_show_is_escaped(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LANG": "C"}
    done = run_toolkit("predict", tmp_path / "größe", "x", env=environment)
    assert done.returncode == 2
    assert "gr\\xf6\\xdfe" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_is_one_object_on_standard_output():
    done = run_toolkit("backbones", "--json")
    assert done.stderr == ""
    assert isinstance(json.loads(done.stdout), dict)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("verb", [[], *([name] for name in VERBS)], ids=str)
def test_help_has_examples_a_line_each(verb):
    lines = run_toolkit(*verb, "--help").stdout.splitlines()
    examples = lines[lines.index("  Examples:") + 1 :]
    assert examples[0].startswith("    toolkit ") and examples[1].startswith("    toolkit ")


@pytest.mark.parametrize("verb", ["finetune", "find-lr", "classify"])
def test_long_help_stands_under_titles(verb):
    lines = run_toolkit(verb, "--help").stdout.splitlines()
    titles = [line.removesuffix(":") for line in lines if line[:1].isupper() and line[-1] == ":"]
    assert titles[:2] == ["Images", "Network"] and titles[-1] == "Other options"
    starts = [k for k, line in enumerate(lines) if line.startswith("  -")]
    longest = max(
        sum(start < k < end for k in starts)
        for start, end in itertools.pairwise(
            [k for k, line in enumerate(lines) if line.rstrip(":") in titles] + [len(lines)]
        )
    )
    assert longest <= 15, "more than a screen has no title"


def test_what_was_printed_before_an_interruption_is_not_lost():
    code = (
        "from toolkit.cli import main as m\n"
        "def interrupted(*_, **__):\n"
        "    print('finished row')\n"
        "    raise m.click.Abort\n"
        "m.toolkit = interrupted\n"
        "m.main()\n"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=buffered, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "finished row\n")
