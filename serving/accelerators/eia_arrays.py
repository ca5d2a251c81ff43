"""NDArrays from outside: numpy views of their memory, how often they were written, and the bytes of a params file.

A parameter that a script changes in place must be sent again, and comparing 100 MB at each call would cost as much as the
pass. MXNet's engine counts the writes to each variable, for caches of its own; its C API does not tell the count. So the
place of the counter is found once, by what it does, in memory that is read through /proc, which cannot crash; where
that fails, the parameters' checksums are compared.
"""

from __future__ import annotations

import ctypes
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from serving.accelerators.errors import AcceleratorError, Code
from serving.backends import mxnet_import
from serving.backends.mxnet_import import import_mxnet
from serving.invocation import Array
from serving.models import params_file

CHUNK_BYTES = 512
"""As far into an array's record as its engine variable is looked for."""
VERSION_AT = 8
"""Where a variable keeps its count: behind the pointer to its class's functions."""
ROUNDS = 4


def settle() -> None:
    """Wait until everything that was asked of MXNet is done; no wait where each call does its own work."""
    if not mxnet_import.synchronous:
        import_mxnet().nd.waitall()


def view(array: Any) -> Array:
    """A numpy array over an NDArray's own memory, in the plain layout; it is good while the NDArray lives."""
    if array.stype != "default":
        raise AcceleratorError(Code.UNIMPLEMENTED, f"{array.stype} arrays are not sent to an accelerator: make them dense")
    pointer = ctypes.c_void_p()
    base = import_mxnet().base
    base.check_call(base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    dtype, shape = np.dtype(array.dtype), tuple(array.shape)
    size = math.prod(shape) * dtype.itemsize
    if not size:
        return np.empty(shape, dtype)
    memory = memoryview((ctypes.c_char * size).from_address(pointer.value or 0))
    return np.asarray(np.frombuffer(memory, dtype)).reshape(shape)


def _bytes(values: Array) -> memoryview:
    return values.reshape(-1).view(np.uint8).data.cast("B")


class Writes:
    """Watches arrays: `counts()` is another list whenever one of them was written. Call `settle` before."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays
        offset = _offset()
        self._counters = [] if offset is None else [_counter(array, offset) for array in arrays]

    def counts(self) -> list[int]:
        """The engine's counts of writes, or checksums where there are none."""
        if self._counters or not self._arrays:
            return [counter.value for counter in self._counters]
        return [zlib.crc32(_bytes(view(array))) for array in self._arrays]


def _counter(array: Any, offset: int) -> ctypes.c_uint64:
    chunk = ctypes.c_uint64.from_address(array.handle.value).value
    variable = ctypes.c_uint64.from_address(chunk + offset).value
    return ctypes.c_uint64.from_address(variable + VERSION_AT)


@cache
def _offset() -> int | None:
    """Where in an array's record the pointer to its variable is; None where no place, or more than one, behaves like it."""
    try:
        memory = os.open(Path("/proc/self/mem"), os.O_RDONLY)
    except OSError:
        return None
    try:
        mx = import_mxnet()
        array = mx.nd.zeros((4,))
        seen = []
        for value in range(ROUNDS):
            array[:] = value
            array.copy()
            mx.nd.waitall()
            seen.append(_candidates(memory, array.handle.value))
        found = [at for at in seen[0] if all(b.get(at) == a.get(at, 0) + 1 for a, b in pairwise(seen))]
        return found[0] if len(found) == 1 else None
    finally:
        os.close(memory)


def _candidates(memory: int, handle: int) -> dict[int, int]:
    """What stands where a count would, behind everything in the array's record that is a pointer."""

    def read(address: int, size: int) -> bytes:
        try:
            return os.pread(memory, size, address)
        except (OSError, OverflowError):
            return b""  # no address of ours

    head = read(handle, 8)
    record = read(struct.unpack("<Q", head)[0], CHUNK_BYTES) if len(head) == 8 else b""
    found = {}
    for at, (pointer,) in enumerate(struct.iter_unpack("<Q", record)):
        behind = read(pointer + VERSION_AT, 8) if pointer and pointer % 8 == 0 else b""
        if len(behind) == 8:
            found[at * 8] = struct.unpack("<Q", behind)[0]
    return found


def params_bytes(arrays: Mapping[str, Any]) -> bytes:
    """What `mx.nd.save` would write of them: without a file, and with one copy of the data."""
    return b"".join(_pieces(arrays))


def _pieces(arrays: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    yield struct.pack("<QQQ", params_file.LIST_MAGIC, 0, len(arrays))
    for array in arrays.values():
        values = view(array)
        flags = params_file.DTYPES.index(values.dtype.name)
        magic = params_file.V2 if values.ndim and values.size else params_file.V3
        yield struct.pack(f"<IiI{values.ndim}qiii", magic, 0, values.ndim, *values.shape, 1, 0, flags)
        yield _bytes(values)
    yield struct.pack("<Q", len(arrays))
    for name in arrays:
        text = name.encode()
        yield struct.pack("<Q", len(text)) + text
