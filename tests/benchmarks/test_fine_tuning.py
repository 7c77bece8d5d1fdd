"""The fine-tuning benchmark on a small network: each contestant trains, and the guide all of it."""

import keras
import pytest

from benchmarks import fine_tuning, guide
from benchmarks.fine_tuning import (
    BARE,
    CACHED,
    GUIDE,
    GUIDE_STAGES,
    LOWER,
    MAKING,
    PLAIN,
    STAGES,
    WHOLE,
)
from tests.benchmarks.small import small_settings
from toolkit.backbones import find

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("tiny"),
    # Keras', on a data set that shuffles itself.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),
]


def test_each_contestant_is_measured(images, monkeypatch):
    built = []
    build = guide.build_model
    monkeypatch.setattr(guide, "build_model", lambda *of: built.append(build(*of)) or built[-1])
    settings = small_settings(images, epochs=1)
    outcome = fine_tuning.run(settings)
    alone, same, piped, whole = outcome.comparisons
    assert set(alone.repetitions) == {GUIDE, GUIDE_STAGES, WHOLE, STAGES, PLAIN, CACHED, LOWER}
    assert set(same.repetitions) == {GUIDE_STAGES, STAGES, PLAIN, CACHED, LOWER}
    assert set(piped.repetitions) == {*BARE, *BARE.values()}
    assert set(whole.repetitions) == {GUIDE, GUIDE_STAGES, WHOLE, STAGES, CACHED, LOWER, MAKING}
    assert any(note.startswith("--precision auto takes") for note in outcome.notes)
    for comparison in (alone, same, piped, whole):
        assert all(value > 0 for values in comparison.repetitions.values() for value in values)
    everything, top = built
    assert len(_trained_kernels(everything)) == 4, "three stages of the network, and the head"
    assert len(_trained_kernels(top)) == 1 + find("tiny").unfreeze
    for model in built:
        assert any(isinstance(layer, keras.layers.RandomRotation) for layer in model.layers)


def _trained_kernels(model):
    return [weight for weight in model.trainable_variables if weight.name == "kernel"]
