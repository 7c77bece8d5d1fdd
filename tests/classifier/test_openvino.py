import importlib.metadata
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT, as_plain_user
from toolkit.classifier import openvino
from toolkit.classifier.openvino import compile_network

SHAPE = [openvino.BATCH_SIZE, 8]


def make_model(seed: int = 0):
    """Two layers, made with OpenVINO's own operations, so that no test waits for Keras."""
    library = openvino._openvino()
    operations = importlib.import_module("openvino.opset8")
    random = np.random.default_rng(seed)
    kernels = [random.normal(0, 0.5, shape).astype(np.float32) for shape in ((8, 64), (64, 3))]
    inputs = value = operations.parameter(SHAPE, np.float32)
    for kernel in kernels:
        value = operations.tanh(operations.matmul(value, operations.constant(kernel), False, False))
    return library.Model([value], [inputs])


def images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def expected(values: np.ndarray, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    for shape in ((8, 64), (64, 3)):
        values = np.tanh(values @ random.normal(0, 0.5, shape).astype(np.float32))
    return values


def never():
    raise AssertionError("it is converted again")


def compiled(folder, convert=make_model, precision="f32"):
    return compile_network(convert, [SHAPE[1:]], precision, folder)


@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-5), ("bf16", 3e-2)])
def test_the_compiled_network_gives_the_networks_values(tmp_path, precision, tolerance):
    run = compiled(tmp_path / "converted", precision=precision)

    values = run(images())

    assert values.shape == (openvino.BATCH_SIZE, 3) and values.dtype == np.float32
    np.testing.assert_allclose(values, expected(images()), atol=tolerance)
    first = values.copy()
    run(images(1))
    np.testing.assert_array_equal(values, first)  # It is not overwritten by the next batch's.
    np.testing.assert_array_equal(run(np.asfortranarray(images())), first)


def test_a_later_start_does_not_convert_again_and_gives_the_same_bits(tmp_path):
    for precision in ("f32", "bf16"):
        first = compiled(tmp_path / "converted", precision=precision)(images())
        again = compiled(tmp_path / "converted", never, precision)(images())
        np.testing.assert_array_equal(first, again)
    assert sorted(os.listdir(tmp_path)) == ["converted"]


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        np.testing.assert_allclose(compiled(None)(images()), expected(images()), atol=1e-5)
    assert os.listdir(tmp_path) == []


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


DAMAGE = {
    "description cut short": lambda folder: cut(folder / "network.xml"),
    "description empty": lambda folder: cut(folder / "network.xml", 0),
    "description garbage": lambda folder: (folder / "network.xml").write_text("Dear diary\n" * 50),
    "description gone": lambda folder: (folder / "network.xml").unlink(),
    "weights cut short": lambda folder: cut(folder / "network.bin"),
    "weights cut by a byte": lambda folder: cut(folder / "network.bin", 0.9999),
    "weights empty": lambda folder: cut(folder / "network.bin", 0),
    "weights garbage": lambda folder: (folder / "network.bin").write_bytes(os.urandom(9_000)),
    "weights with a bit that has flipped": lambda folder: flip(folder / "network.bin"),
    "weights gone": lambda folder: (folder / "network.bin").unlink(),
    "a folder for a file": lambda folder: (
        (folder / "network.xml").unlink(), (folder / "network.xml").mkdir()
    ),
    "no digest": lambda folder: (folder / "sha256.txt").unlink(),
    "digest garbage": lambda folder: (folder / "sha256.txt").write_bytes(os.urandom(99)),
    "an empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_converted_network_is_made_again_with_a_message(tmp_path, caplog, damage):
    folder = tmp_path / "converted"
    compiled(folder)
    DAMAGE[damage](folder)

    values = compiled(folder)(images())

    np.testing.assert_allclose(values, expected(images()), atol=1e-5)
    (message,) = caplog.messages
    assert message.startswith(f"{folder} in the cache is damaged and made again (")
    assert "\n" not in message
    np.testing.assert_array_equal(compiled(folder, never)(images()), values)


def test_another_networks_files_in_its_place_are_not_taken_for_it(tmp_path, caplog):
    folder = tmp_path / "converted"
    compiled(folder)
    compiled(tmp_path / "other", lambda: make_model(seed=1))
    for name in ("network.xml", "network.bin"):
        shutil.copy(tmp_path / "other" / name, folder / name)

    np.testing.assert_allclose(compiled(folder)(images()), expected(images()), atol=1e-5)
    assert "is damaged and made again" in caplog.text


def test_a_folder_that_cannot_be_written_degrades_with_a_message(tmp_path, caplog):
    (tmp_path / "file").touch()
    values = compiled(tmp_path / "file" / "converted")(images())
    np.testing.assert_allclose(values, expected(images()), atol=1e-5)
    (message,) = caplog.messages
    assert "The cache cannot be written (" in message and "going on without it" in message


def test_a_folder_that_may_not_be_read_degrades_with_a_message(shared_folder, caplog):
    compiled(shared_folder / "converted")
    for path in (shared_folder / "converted").iterdir():
        path.chmod(0)
    with as_plain_user():  # OpenVINO's own libraries may lie where only root reads.
        assert openvino._read(shared_folder / "converted") is None
    assert "Permission denied" in caplog.text


def test_a_full_disk_degrades_with_a_message_and_leaves_nothing(tmp_path):
    # A limit on the size of files fails as a full disk does, in the middle of a write.
    code = (
        "import logging, resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from tests.classifier.test_openvino import *\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))\n"
        "values = compiled(Path(sys.argv[1]) / 'converted')(images())\n"
        "np.testing.assert_allclose(values, expected(images()), atol=1e-5)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (message,) = done.stdout.splitlines()
    assert "The cache cannot be written (" in message
    assert os.listdir(tmp_path) == []


CONVERTING = """
import shutil, sys
from pathlib import Path
from tests.classifier.test_openvino import *
print("ready", flush=True)
input()
for k in range(25):
    folder = Path(sys.argv[1]) / f"{k}"
    values = compiled(folder)(images())
    np.testing.assert_allclose(values, expected(images()), atol=1e-5)
    if sys.argv[2] == "evict":
        shutil.rmtree(folder, ignore_errors=True)
    np.testing.assert_array_equal(compiled(folder)(images()), values)
"""


@pytest.mark.parametrize("other", ["convert", "evict"])
def test_two_processes_may_convert_at_once_and_evict_what_the_other_has_open(tmp_path, other):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONVERTING, str(tmp_path), what],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for what in ("convert", other)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:  # Only now, so that they meet.
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    if other == "convert":
        assert errors == ["", ""]
    assert not list(tmp_path.rglob(".writing-*"))
    for k in range(25):
        compiled(tmp_path / f"{k}", never)


def test_converting_reports_to_nobody():
    code = (
        "import sys\n"
        "from tests.classifier.test_openvino import *\n"
        "compiled(None)\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_it_tells_what_it_is():
    assert openvino.is_installed()
    assert openvino.version().startswith(importlib.metadata.version("openvino"))
    assert openvino.has_bfloat16() in (True, False)
