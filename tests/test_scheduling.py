"""`toolkit schedule`."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, run_toolkit
from toolkit import scheduling
from toolkit.errors import NotWritableError, OptionError, UnknownNameError
from toolkit.evaluation.pictures.schedules import schedules_figure
from toolkit.scheduling import draw_schedule
from toolkit.training.schedules import FALLS


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn: rates by name, and steps in an epoch."""
    found = []

    def keep(rates, steps_per_epoch, path):
        found[:] = [rates, steps_per_epoch]
        path.write_bytes(b"picture")

    monkeypatch.setattr(scheduling, "schedules", keep)
    return found


def test_each_schedule_is_drawn_over_the_given_run(drawn, tmp_path):
    options = {"epochs": 5, "steps_per_epoch": 20, "learning_rate": 0.1, "warmup": 0.2}
    path = draw_schedule(output=tmp_path / "new" / "all.png", **options)

    rates, steps = drawn
    assert path.read_bytes() == b"picture" and steps == 20
    assert list(rates) == list(FALLS)
    for values in rates.values():
        assert values.shape == (100,) and values.argmax() == 20
        assert values.max() == pytest.approx(0.1)
    # Lowered after the third epoch and the fifth: 2 of them were not better than the first.
    assert rates["plateau"][20::20] == pytest.approx([0.1, 0.1, 0.02, 0.02])


def test_one_alone(drawn, tmp_path):
    draw_schedule("step", output=tmp_path / "step.png")
    assert list(drawn[0]) == ["step"] and drawn[0]["step"].max() == pytest.approx(3e-4)


def test_the_constant_end_that_weight_averaging_needs(drawn, tmp_path):
    draw_schedule(swa=0.25, epochs=4, learning_rate=0.1, output=tmp_path / "swa.png")
    rates, _ = drawn
    assert list(rates) == [name for name in FALLS if name != "plateau"], "it has no such end"
    for values in rates.values():
        assert values[300:] == pytest.approx(0.05) and values[:300].max() == pytest.approx(0.1)

    with pytest.raises(OptionError, match="--swa must be left out with --schedule plateau"):
        draw_schedule("plateau", swa=0.25, output=tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_picture_has_a_panel_for_each_name():
    rates = {name: np.linspace(k, 0, 30) for k, name in enumerate("abcde", 1)}
    figure = schedules_figure(rates, steps_per_epoch=10)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == list("abcde")
    for axes, values in zip(panels, rates.values(), strict=True):
        epochs, shown = axes.lines[0].get_data()
        np.testing.assert_array_equal(shown, values)
        assert epochs[-1] == 2.9


def test_the_command(tmp_path):
    done = run_toolkit("schedule", "one-cycle", "--output", tmp_path / "one.png")
    assert (done.returncode, done.stdout) == (0, f"Drawn: {tmp_path / 'one.png'}\n"), done.stderr
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (840, 456)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "cosin"}, UnknownNameError, "no schedule 'cosin'. Did you mean: cosine"),
        ({"epochs": 0}, OptionError, "--epochs must be a whole number from 1"),
        ({"steps_per_epoch": 0}, OptionError, "--steps-per-epoch must be a whole number from 1"),
        ({"learning_rate": 0.0}, OptionError, "--learning-rate must be above 0"),
        ({"warmup": -0.1}, OptionError, "--warmup must be from 0 to 1. Received: -0.1"),
        ({"output": "curve.pdf"}, OptionError, "--output must be a file whose name ends in .png"),
    ],
)
def test_what_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        draw_schedule(**options)


def test_a_place_that_cannot_be_written(drawn, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError, match="--output must be a folder that can be written"):
        draw_schedule(output=tmp_path / "file" / "a.png")


def test_it_is_light():
    code = "import sys, toolkit.scheduling; print({'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
