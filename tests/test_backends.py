"""The whole command on Keras' other backend."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import toolkit
from tests.classifier.test_mlp import history_of_a_deep_head
from tests.conftest import ROOT, SMALL, run_toolkit
from tests.training.test_distillation import taught
from tests.training.test_fine_tuning import (
    averaged_and_resumed,
    last_averaged_and_resumed,
    mixed_and_weighted,
)
from tests.training.test_unfreezing import unfrozen_in_every_way

pytestmark = pytest.mark.slow

QUICKLY_COMPILED = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
JAX = {**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": QUICKLY_COMPILED}

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


@needs_jax
def test_the_whole_command_with_jax(images, tmp_path):
    asked = {name: SMALL[name] for name in ("image_size", "batch_size", "seed")}
    asked |= {"epochs": 1, "unfreeze": 1, "learning_rate": 1e-5, "monitor": "loss"}
    asked["models_dir"] = tmp_path
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
    done = run_toolkit("finetune", "--data", images, *options, "--json", env=JAX)
    assert done.returncode == 0, done.stderr

    result = json.loads(done.stdout)
    run = result["run"]
    assert run["versions"]["backend"] == "jax" and run["versions"]["jax"]
    assert run["export_difference"] <= 1e-4
    assert run["engine"] == {"features": "keras", "difference": 0, "views": "keras"}
    assert run["views"] == 1
    assert result["chosen"] == "finetuned", "so that the tuned network is what is exported"
    classifier = toolkit.load(tmp_path / "colours")
    measured = classifier.evaluate(images, quiet=True).metrics
    assert measured["accuracy"] == result["test"]["accuracy"]
    assert measured["loss"] == pytest.approx(result["test"]["loss"], abs=1e-4)
    probabilities = classifier.model.predict_on_batch(np.zeros([2, 32, 32, 3], np.float32))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@needs_jax
def test_precisions_and_engines_with_jax_on_a_cpu():
    code = (
        "from toolkit.classifier.devices import is_on_gpu;"
        "from toolkit.training.precision import candidates; print(is_on_gpu(), candidates())"
    )
    env = {**JAX, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False ['float32', 'mixed_bfloat16']"


TRAININGS = [mixed_and_weighted, averaged_and_resumed, unfrozen_in_every_way]
TRAININGS += [history_of_a_deep_head, last_averaged_and_resumed, taught]
NAMES = [train.__name__ for train in TRAININGS]


@pytest.fixture(scope="module")
def trained_with_jax(tmp_path_factory):
    """What each training gives, all of them in one process."""
    imports = "".join(f"from {each.__module__} import {each.__name__};" for each in TRAININGS)
    calls = ", ".join(f"{name!r}: {name}(folder / {name!r})" for name in NAMES)
    code = (
        f"import json, pathlib, sys; {imports} folder = pathlib.Path(sys.argv[1]);"
        f"print(json.dumps({{{calls}}}))"
    )
    command = [sys.executable, "-c", code, tmp_path_factory.mktemp("jax")]
    done = subprocess.run(command, cwd=ROOT, env=JAX, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_jax
@pytest.mark.parametrize("train", TRAININGS, ids=NAMES)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras'.
def test_the_same_network_is_trained_with_jax(trained_with_jax, tmp_path, train):
    found = trained_with_jax[train.__name__]
    if train in (averaged_and_resumed, last_averaged_and_resumed):
        assert found[:6] == found[6:], "an interrupted run goes on as if nothing had been"
    for one, two in zip(found, train(tmp_path / "tensorflow"), strict=True):
        assert one.keys() == two.keys()
        assert one == pytest.approx(two, rel=3e-4, abs=1e-4)
