"""The index of an MXNet `.params` file: names, shapes and dtypes, read by walking over the data without loading it.

A file that was cut off while it was copied loads as an obscure C++ error, or not at all on another machine. The walk visits
every array's header and the name list at the end, so a file of any size is proved whole in a few reads.

Layout (little endian; MXNet's NDArray::Save): u64 0x112, u64 0, u64 count, the arrays, u64 count, the names (u64 length,
bytes). An array: u32 magic, [V2, V3: i32 storage type, sparse: shape of the values], shape, i32 device type and id, i32
dtype, [sparse: i32 dtype and shape of each index array], the data, the index data. Before V1 the magic is the rank itself.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
MAX_RANK = 32
MAX_NAME = 4096

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "int16", "uint16", "uint32", "uint64")
"""MXNet's type flags, in their order (mshadow's TypeFlag)."""

BFLOAT16 = 12
INDEX_ARRAYS = {0: 0, 1: 1, 2: 2}
"""How many index arrays a storage type has: dense none, row_sparse its rows, csr pointers and columns."""


class Entry(NamedTuple):
    """An array of the file: its shape, and the name of its dtype."""

    shape: tuple[int, ...]
    dtype: str


class Broken(ValueError):
    """The file is no complete MXNet parameter file; the text says where it stops making sense."""


def index(path: Path) -> dict[str, Entry]:
    """The arrays by name, in the file's order (`arg:NAME`, `aux:NAME` or bare; unnamed lists: `0`, `1`, ...); or Broken."""
    with path.open("rb") as file:
        reader = _Reader(file, os.fstat(file.fileno()).st_size)
        if reader.size == 0:
            raise Broken("it is empty (0 bytes)")
        if reader.take("<Q") != LIST_MAGIC:
            raise Broken("it does not begin as an MXNet parameter file does (0x112)")
        reader.take("<Q")
        entries = [reader.entry() for _ in range(reader.count(4))]
        names = [reader.name() for _ in range(reader.count(8))]
    if names and len(names) != len(entries):
        raise Broken(f"it holds {len(entries)} arrays and {len(names)} names")
    if reader.at != reader.size:
        raise Broken(f"{reader.size - reader.at} bytes follow its end")
    return dict(zip(names or map(str, range(len(entries))), entries, strict=True))


def write(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """A params file of arrays by name (`arg:NAME`, `aux:NAME`), as MXNet writes one; no array is copied.

    It is in numpy's form, which plain MXNet does not load, only where an array is a scalar or empty: there is no other then.
    """
    magic = V2 if all(array.size and array.ndim for array in arrays.values()) else V3
    with path.open("wb") as file:
        file.write(struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays)))
        for array in arrays.values():
            file.write(struct.pack("<Iii", magic, 0, array.ndim))
            file.write(struct.pack(f"<{array.ndim}q", *array.shape))
            file.write(struct.pack("<iii", 1, 0, DTYPES.index(array.dtype.name)))  # in the CPU's memory
            file.write(np.ascontiguousarray(array).data)
        file.write(struct.pack("<Q", len(arrays)))
        for name in arrays:
            file.write(struct.pack("<Q", len(name.encode())) + name.encode())


class _Reader:
    """A position in the file that refuses to pass its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.at = file, size, 0

    def _advance(self, count: int) -> None:
        if count > self.size - self.at:
            raise Broken(f"it is cut off: {self.size} bytes, and at least {count - (self.size - self.at)} are missing")
        self.at += count

    def take(self, form: str) -> int:
        self._advance(struct.calcsize(form))
        (value,) = struct.unpack(form, self.file.read(struct.calcsize(form)))
        return int(value)

    def skip(self, count: int) -> None:
        self._advance(count)
        self.file.seek(self.at)

    def count(self, least: int) -> int:
        """A number of things of at least that many bytes each, so that a wrong one is found before a long loop."""
        number = self.take("<Q")
        if number * least > self.size - self.at:
            raise Broken(f"it is cut off, or damaged near byte {self.at}")
        return number

    def name(self) -> str:
        length = self.count(1)
        if length > MAX_NAME:
            raise Broken(f"it is damaged near byte {self.at}: a name of {length} bytes")
        self._advance(length)
        return self.file.read(length).decode("utf-8", errors="replace")

    def entry(self) -> Entry:
        magic = self.take("<I")
        storage = self.take("<i") if magic in (V2, V3) else 0
        if storage not in INDEX_ARRAYS:
            raise Broken(f"it is damaged near byte {self.at}: storage type {storage}")
        values = self.shape(magic) if INDEX_ARRAYS[storage] else None
        shape = self.shape(magic)
        if shape is None:
            return Entry((), DTYPES[0])
        self.skip(8)
        dtype, width = self.dtype()
        sizes = [_elements(shape if values is None else values) * width]
        for _ in range(INDEX_ARRAYS[storage]):
            index_width = self.dtype()[1]
            sizes.append(_elements(self.shape(magic) or ()) * index_width)
        self.skip(sum(sizes))
        return Entry(shape, dtype)

    def shape(self, magic: int) -> tuple[int, ...] | None:
        """A shape, or None for an array that was never filled; only V3 (numpy semantics) has scalars."""
        rank = self.take("<i") if magic in (V1, V2, V3) else magic
        if not -1 <= rank <= MAX_RANK:
            raise Broken(f"it is damaged near byte {self.at}: an array of {rank} dimensions")
        if rank == -1 or (rank == 0 and magic != V3):
            return None
        sizes = tuple(self.take("<q" if magic in (V1, V2, V3) else "<I") for _ in range(rank))
        if any(size < 0 for size in sizes):
            raise Broken(f"it is damaged near byte {self.at}: the shape {sizes}")
        return sizes

    def dtype(self) -> tuple[str, int]:
        flag = self.take("<i")
        if flag == BFLOAT16:
            return "bfloat16", 2
        if not 0 <= flag < len(DTYPES):
            raise Broken(f"it is damaged near byte {self.at}: type flag {flag}")
        return DTYPES[flag], np.dtype(DTYPES[flag]).itemsize


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
