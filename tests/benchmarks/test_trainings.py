"""Trainings that are compared: their seeds and folders, and networks that are always kept."""

import numpy as np
import pytest

import toolkit
from benchmarks.settings import Settings
from benchmarks.trainings import accuracy, by_seed, figures, means, train_all
from benchmarks.tuned import PROBE, RANDOM, ZEROS, tuned
from tests.conftest import SMALL

pytestmark = pytest.mark.slow

SETTINGS = Settings(say=lambda line: None, image_size=32, repetitions=2, epochs=1)


def test_each_is_trained_with_each_seed_in_a_folder_of_its_own():
    seen = []

    def training(name):
        def train(seed, folder):
            seen.append((seed, name, list(folder.iterdir())))
            (folder / "model").write_text("")
            record = {"accuracy": 0.5 + 0.1 * seed, "n": 10, "macro_f1": 0.4, "seconds": 1.0}
            return record if name == "a" else record | {"accuracy": 0.25}

        return train

    records = train_all(SETTINGS, {"a": training("a"), "b": training("b")})
    assert seen == [(0, "a", []), (0, "b", []), (1, "a", []), (1, "b", [])]
    compared = figures(records, "Test accuracy", "%", accuracy)
    assert compared.medians == {"a": pytest.approx(55), "b": 25}
    assert means(records, accuracy, "%") == "Mean %: a 55, b 25."
    assert by_seed(records, accuracy, "%") == "%, seed by seed: a 50, 60; b 25, 25."


@pytest.mark.parametrize("head_of", [PROBE, ZEROS, RANDOM])
def test_what_was_tuned_is_kept_even_if_it_is_worse(images, tmp_path, head_of):
    asked = {"learning_rate": 1e-6, "engine": "keras", "views": 1, "unfreeze": SMALL["unfreeze"]}
    source = toolkit.Source(images)
    train = tuned(SETTINGS, lambda seed, folder: source, head_of, **asked)
    record = train(7, tmp_path)
    assert 0 < record["n"] < 60 and record["seconds"] > 0
    if head_of != PROBE:  # A learning rate like this one changes nothing.
        assert record["loss"] > 0.9 * np.log(3)
    else:
        assert record["loss"] < 0.8 * np.log(3)
