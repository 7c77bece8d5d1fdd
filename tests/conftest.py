"""What the tests share: small images, a small data set, one finished run."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
sys.modules.setdefault("openvino_telemetry", None)  # Whoever imports OpenVINO first.

ROOT = Path(__file__).parent.parent
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLKIT_CACHE", str(folder))
        yield folder


def quietly(items, total, description):
    """No progress is shown."""
    return items


@pytest.fixture(autouse=True)
def keras_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that need no Keras keep it from being imported, which here would last for ever."""
    monkeypatch.setattr("toolkit.cli.libraries.import_tensorflow_alone", lambda: None)


def draw_image(
    colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (48, 40)
) -> Image.Image:
    """A noisy picture, mostly of one colour; (width, height)."""
    noise = np.random.default_rng(seed).normal(0, 40, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def write_images(
    folder: Path, count: int, classes: dict | None = None, first_seed: int = 0
) -> Path:
    """Class folders with `count` different JPEGs each."""
    for number, (name, colour) in enumerate((classes or COLOURS).items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            seed = first_seed + 1000 * number + k
            draw_image(colour, seed).save(
                folder / name / f"{name}-{first_seed + k:03}.jpg", quality=90
            )
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three class folders with 20 images each, three of them in a wrong one.

    So no classifier gets all of them right. Not to be changed.
    """
    folder = write_images(tmp_path_factory.mktemp("data") / "colours", 17)
    names = list(COLOURS)
    wrong = {name: COLOURS[names[k - 2]] for k, name in enumerate(names)}
    return write_images(folder, 3, wrong, first_seed=500)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        os.chmod(folder, 0o755)
        for parent, inside, _ in os.walk(folder):
            for name in inside:
                os.chmod(os.path.join(parent, name), 0o755)


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system of a given name and size; once more, and it changes its size."""
    mounted = set()

    def mount(name, size):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        again = "remount," if folder in mounted else ""
        command = ["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system needs the superuser")
        mounted.add(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def as_plain_user() -> Iterator[None]:
    """Obeys the files' permissions also where root runs the tests, whom they don't bind."""
    root = os.geteuid() == 0
    Image.init()  # Its plugins may lie where only root reads.
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


SMALL = {
    "backbone": "efficientnet-lite0",
    "image_size": 32,
    "unfreeze": 2,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 3e-5,
    "seed": 7,
    "quiet": True,
}
"""Options of a run of a few seconds, with real weights, in which fine-tuning beats the probe."""


@pytest.fixture(scope="module")
def tiny() -> Iterator[None]:
    """Whole jobs in a second or two: there is `tests.tiny`'s network; exports are checked here."""
    from tests import tiny
    from toolkit.backbones.registry import BACKBONES
    from toolkit.serving import parity, save

    def check_here(saved_model, files, expected):
        difference = float(np.abs(parity.serve(saved_model, files) - expected).max())
        assert difference <= parity.LIMIT
        return difference

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, tiny.NAME, tiny.ENTRY)
        patch.setattr(save, "check_parity", check_here)
        yield


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path):
    """One finished run's result. Not to be changed."""
    import toolkit

    return toolkit.finetune(images, models_dir=tmp_path_factory.mktemp("models"), **SMALL)


@pytest.fixture(scope="session")
def members(images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three untrained classifiers with the same splits, for ensembles. Not to be changed.

    Two prepare images alike; the third has the classes in another order.
    """
    from tests.bundles import make_bundle
    from toolkit.data.prepare import Preparation

    models = tmp_path_factory.mktemp("members")
    squash = Preparation(12, 10, 10**6, crop="squash")
    shares = (0.1, 0.7, 0.2)
    return [
        make_bundle(models / "a", images, shares=shares, seed=1),
        make_bundle(models / "b", images, shares=shares, seed=2, preparation=squash),
        make_bundle(models / "c", images, shares=shares, seed=3, classes=["red", "blue", "green"]),
    ]


def run_toolkit(*arguments: object, **options: object):
    """Runs the command line in a process of its own; returns the completed process."""
    command = [sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)]
    options = {"cwd": ROOT, "capture_output": True, "text": True, **options}
    return subprocess.run(command, **options)
