"""The index of parameter files: every version of the format, and every way of being cut off."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.models import params_file
from serving.models.params_file import Broken, Entry, index

Writer = Callable[[Mapping[str, np.ndarray[Any, Any]]], bytes]


def whole(arrays: list[bytes], names: list[bytes]) -> bytes:
    """A file of arrays that are bytes already."""
    tail = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + tail


def write(folder: Path, data: bytes) -> Path:
    """A parameter file of these bytes."""
    path = folder / "model-0000.params"
    path.write_bytes(data)
    return path


def test_names_shapes_and_dtypes(tmp_path: Path, params_bytes: Writer) -> None:
    """Every array is listed by name, in order, with its shape and dtype."""
    arrays = {"arg:w": np.zeros((3, 4), "float32"), "aux:m": np.zeros(5, "float16"), "i": np.zeros((1, 2, 3), "int64")}
    found = index(write(tmp_path, params_bytes(arrays)))
    assert found == {"arg:w": Entry((3, 4), "float32"), "aux:m": Entry((5,), "float16"), "i": Entry((1, 2, 3), "int64")}
    assert list(found) == list(arrays)


def test_unnamed_list(tmp_path: Path) -> None:
    """A list saved without names counts them up."""
    array = struct.pack("<Iiiqiii", params_file.V2, 0, 1, 1, 1, 0, 0) + b"\0" * 4
    assert index(write(tmp_path, whole([array, array], []))) == {"0": Entry((1,), "float32"), "1": Entry((1,), "float32")}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (struct.pack("<IIIiii", 2, 2, 3, 1, 0, 0) + b"\0" * 24, Entry((2, 3), "float32")),
        (struct.pack("<Iiqqiii", params_file.V1, 2, 2, 3, 1, 0, 1) + b"\0" * 48, Entry((2, 3), "float64")),
        (struct.pack("<Iiiiii", params_file.V3, 0, 0, 1, 0, 0) + b"\0" * 4, Entry((), "float32")),
        (struct.pack("<Iii", params_file.V3, 0, -1), Entry((), "float32")),
        (struct.pack("<Iii", params_file.V2, 0, 0), Entry((), "float32")),
        (struct.pack("<Iiiqiii", params_file.V2, 0, 1, 3, 1, 0, 12) + b"\0" * 6, Entry((3,), "bfloat16")),
        (
            struct.pack("<IiiqqiqqiiiiiQ", params_file.V2, 1, 2, 1, 2, 2, 3, 2, 1, 0, 0, 6, 1, 1) + b"\0" * 16,
            Entry((3, 2), "float32"),
        ),
    ],
    ids=["legacy", "v1", "v3 scalar", "v3 none", "v2 none", "bfloat16", "row_sparse"],
)
def test_versions_of_the_format(tmp_path: Path, array: bytes, expected: Entry) -> None:
    """Files of every MXNet version are read, sparse and empty arrays among them."""
    assert index(write(tmp_path, whole([array], [b"w"]))) == {"w": expected}


def test_every_truncation_is_found(tmp_path: Path, params_bytes: Writer) -> None:
    """A file that ends early, at whatever byte, is refused; so is one with bytes after its end."""
    data = params_bytes({"arg:w": np.ones((2, 3), "float32"), "arg:b": np.ones(2, "float32")})
    for length in range(len(data)):
        path = write(tmp_path, data[:length])
        with pytest.raises(Broken, match="cut off|empty"):
            index(path)
    with pytest.raises(Broken, match="1 bytes follow"):
        index(write(tmp_path, data + b"\0"))


@pytest.mark.parametrize(
    "data",
    [
        b"not a parameter file at all",
        whole([struct.pack("<Iii", params_file.V2, 7, 1)], [b"w"]),
        whole([struct.pack("<Iiiqiii", params_file.V2, 0, 1, 1, 1, 0, 99) + b"\0" * 4], [b"w"]),
        whole([struct.pack("<Iiiqiii", params_file.V2, 0, 1, -5, 1, 0, 0)], [b"w"]),
        whole([struct.pack("<Iii", params_file.V2, 0, 1000) + b"\0" * 9000], [b"w"]),
        struct.pack("<QQQ", 0x112, 0, 1 << 60),
        whole([], [b"w"]),
        whole([struct.pack("<Iiiqiii", params_file.V2, 0, 1, 1 << 60, 1, 0, 0)], [b"w"]),
        whole([], [])[:-8] + struct.pack("<QQ", 1, 5000) + b"n" * 5000,
    ],
    ids=["text", "storage", "dtype", "negative", "rank", "count", "names", "size", "long name"],
)
def test_damage_is_found(tmp_path: Path, data: bytes) -> None:
    """Damage in any field is a Broken with a reason, and asks for no memory."""
    with pytest.raises(Broken, match="it "):
        index(write(tmp_path, data))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(at=st.integers(0, 120), value=st.integers(0, 255))
def test_flipped_bytes_never_crash(tmp_path_factory: pytest.TempPathFactory, at: int, value: int) -> None:
    """Any byte of a file may be anything: the answer is an index or a Broken, never another exception."""
    array = struct.pack("<Iiiqqiii", params_file.V2, 0, 2, 2, 2, 1, 0, 0) + b"\0" * 16
    data = bytearray(whole([array], [b"arg:w"]))
    data[at % len(data)] = value
    path = write(tmp_path_factory.getbasetemp(), bytes(data))
    try:
        entries = index(path)
    except Broken:
        return
    assert len(entries) <= 1
