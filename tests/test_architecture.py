"""The house: imports go one way, light modules stay light, everything public is described."""

import ast
import inspect
import subprocess
import sys

import pytest

import toolkit
from tests.conftest import ROOT

ORDER = [
    ["errors"],
    ["choices", "clock", "files", "progress"],
    ["cache", "output_files"],
    ["data"],
    ["backbones"],
    ["classifier"],
    ["training"],
    ["evaluation"],
    ["ensembles"],
    ["serving"],
    ["option_checks", "result"],
    ["options"],
    ["run_record"],
    ["probing"],
    ["class_changes", "head_start", "tuning"],
    ["asking", "checks", "precision_search", "preparing", "rate_search"],
    ["unfreezing"],
    ["choosing"],
    ["budgeting", "calibrating", "member_evidence"],
    ["adjusting", "auditing", "augmenting", "classifying", "ensembling", "fitting"],
    ["member_plans", "outcome", "scheduling", "souping", "splitting", "teaching"],
    ["finetuning"],
    ["job"],
    ["finding_lr", "making_members"],
    ["cli"],
]
"""From the bottom up: a part imports from itself and from the rows above it, never from below."""

LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
MODULES = sorted((ROOT / "toolkit").rglob("*.py"))
TENSORFLOW = (
    "toolkit/data/",
    "toolkit/serving/",
    "toolkit/cli/libraries.py",
    "toolkit/training/tensorflow_convolutions.py",  # Only asked where Keras runs on it.
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imports_of(path):
    """The full names that a module imports, at its top and in its functions, but not for types."""
    found = []
    nodes = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        nodes += ast.iter_child_nodes(node)
    return found


def part_of(name):
    """The part of the toolkit that a full name lies in, or None."""
    package, *rest = name.removesuffix(".py").replace("/", ".").split(".")
    return rest[0] if package == "toolkit" and rest and rest[0] != "__init__" else None


def test_every_part_has_its_place():
    parts = {part_of(name_of(path)) for path in MODULES} - {None}
    assert parts == set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    own = part_of(name_of(path))
    if own is None:
        return
    above = [name for name in imports_of(path) if LEVEL.get(part_of(name), -1) > LEVEL[own]]
    same = [
        name
        for name in imports_of(path)
        if part_of(name) not in (None, own) and LEVEL.get(part_of(name)) == LEVEL[own]
    ]
    assert above == [] and same == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_tensorflow_stays_where_it_belongs(path):
    uses = any(name.split(".")[0] == "tensorflow" for name in imports_of(path))
    assert not uses or name_of(path).startswith(TENSORFLOW)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_toolkit_does_not_import_what_is_built_on_it():
    outside = ("recipes", "tests", "benchmarks")
    for path in MODULES:
        assert not [name for name in imports_of(path) if name.split(".")[0] in outside]


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.py")), ids=name_of)
def test_recipes_use_no_tensorflow(path):
    assert not [name for name in imports_of(path) if name.split(".")[0] == "tensorflow"]


LIGHT = [
    "toolkit",
    "toolkit.errors",
    "toolkit.cache",
    "toolkit.backbones",
    "toolkit.serving.bundle",
]
HEAVY = ("numpy", "keras", "tensorflow", "scipy", "PIL")
NETWORKS = ("keras", "tensorflow")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [*((name, HEAVY) for name in LIGHT), ("toolkit.splitting", NETWORKS)],
)
def test_light_modules_load_nothing_heavy(module, heavy):
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def public_things():
    for name in toolkit.__all__:
        thing = getattr(toolkit, name)
        yield f"toolkit.{name}", thing
        for member in getattr(thing, "__all__", []):
            yield f"toolkit.{name}.{member}", getattr(thing, member)


def test_every_public_name_is_described():
    for name, thing in public_things():
        if not isinstance(thing, dict):
            assert inspect.getdoc(thing), name
            assert inspect.getdoc(thing) != inspect.getdoc(type(thing)), name


def test_every_public_function_tells_its_arguments():
    for name, thing in public_things():
        if inspect.isfunction(thing):
            described = inspect.getdoc(thing)
            names = inspect.signature(thing).parameters
            missing = [each for each in names if f"{each}:" not in described]
            refers = described.startswith("As `")
            assert len(names) < 3 or refers or not missing, f"{name}: {missing}"


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = toolkit.train
