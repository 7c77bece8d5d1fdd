"""Reads the weights in a file of torch's old (pre-zip) format, without torch.

Such a file is a run of pickles (magic number, protocol, system, the tensors' descriptions, the
storages' keys) followed by each storage's raw values. A pickle can run any code when it is read,
so the unpickler here admits only the names that a file of weights needs and refuses all others.
"""

import math
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from toolkit.backbones.weights_errors import WeightsFileError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("<i1"),
    "ByteStorage": np.dtype("<u1"),
    "BoolStorage": np.dtype("?"),
}
# What a damaged or crafted pickle is known to raise while it is read, and what the checks
# below raise.
_MALFORMED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class _Storage(NamedTuple):
    """One block of values: where its dtype and length are told, before its values are read."""

    key: str
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    """One tensor's place in its storage: offset and strides in elements, not bytes."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _StorageType(NamedTuple):
    """Stands for a class such as `torch.FloatStorage`, of which only the dtype matters."""

    dtype: np.dtype[Any]


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *_gradient_and_hooks: object,
) -> _Tensor:
    """Stands for `torch._utils._rebuild_tensor_v2`; the values come later in the file."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, offset, size, stride)


class _WeightsUnpickler(pickle.Unpickler):
    """Admits ordered dictionaries, tensors and storages; anything else is refused."""

    def find_class(self, module: str, name: str) -> Callable[..., Any] | _StorageType:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _StorageType(_DTYPES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _location, count, view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType) or view is not None:
            raise pickle.UnpicklingError("a reference to something that is no storage")
        return _Storage(str(key), storage_type.dtype, count)


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read every tensor of a file that torch's `save` wrote before its version 1.6.

    The file must hold one dictionary of tensors (a `state_dict`). Nothing in it is run. Check the
    file's hash first if you know it: this function tells a damaged file, not a changed one.

    Args:
        path: The file, usually `*.pth`.

    Returns:
        The tensors in the file's order, by name; each an own, contiguous array with the shape and
        dtype it was saved with (floats of 16 to 64 bits, integers of 8 to 64 bits, bool).

    Raises:
        WeightsFileError: The file is of another format, damaged, or holds anything but tensors.

    Example:
        >>> read_torch_file("efficientnet-lite0.pth")["_fc.weight"].shape  # doctest: +SKIP
        (1000, 1280)
    """
    try:
        with open(path, "rb") as file:
            tensors = _read_header(file)
            storages = _read_storages(file, tensors)
            return {name: _values(tensor, storages) for name, tensor in tensors.items()}
    except OSError as error:
        raise WeightsFileError(path, f"it cannot be read ({error.strerror})") from error
    except _MALFORMED as error:
        raise WeightsFileError(path, f"it is no file of torch weights: {error}") from error


def _read_header(file: BinaryIO) -> dict[str, _Tensor]:
    """The pickles before the storages' keys, checked; gives the tensors' descriptions."""
    if _load(file) != _MAGIC_NUMBER or _load(file) != _PROTOCOL_VERSION:
        raise ValueError("it does not begin as torch's old format does")
    if not _load(file)["little_endian"]:
        raise ValueError("its values are big-endian")
    tensors = _load(file)
    if not isinstance(tensors, dict):
        raise ValueError("it holds no dictionary of tensors")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError(f"its entry {name!r} is no tensor")
    return dict(tensors)


def _load(file: BinaryIO) -> Any:
    return _WeightsUnpickler(file).load()


def _read_storages(file: BinaryIO, tensors: dict[str, _Tensor]) -> dict[str, np.ndarray]:
    """The values of each storage, in the order of the keys: int64 count, then raw values."""
    announced = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    file_size = os.fstat(file.fileno()).st_size
    storages = {}
    for key in _load(file):
        storage = announced[key]
        (count,) = struct.unpack("<q", file.read(8))
        n_bytes = count * storage.dtype.itemsize
        # Before anything is allocated: the header may claim more than the file holds.
        if count != storage.length or not 0 <= n_bytes <= file_size - file.tell():
            raise ValueError(f"its storage {key} is cut short or of another length than announced")
        storages[key] = np.frombuffer(file.read(n_bytes), storage.dtype)
    return storages


def _values(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """The tensor's own copy of its part of the storage."""
    values = storages[tensor.storage.key]
    numbers = (tensor.offset, *tensor.size, *tensor.stride)
    if len(tensor.size) != len(tensor.stride) or any(
        not isinstance(number, int) or number < 0 for number in numbers
    ):
        raise ValueError("a tensor's size or stride is no list of natural numbers")
    count = math.prod(tensor.size)
    last = tensor.offset + sum(
        (n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True)
    )
    if count and (count > values.size or last >= values.size):
        raise ValueError("a tensor reaches beyond its storage")
    if not count:
        return np.zeros(tensor.size, values.dtype)
    strides = [step * values.itemsize for step in tensor.stride]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.size, strides)
    return np.array(view, order="C")
