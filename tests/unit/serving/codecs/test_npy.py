"""application/x-npy: every version and order, and headers that lie."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving import codecs
from serving.errors import BadRequest, PayloadTooLarge
from serving.invocation import UNNAMED, Array
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, fuzz


def saved(array: Array, version: tuple[int, int] = (1, 0)) -> bytes:
    """The array as numpy writes it."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), version=version)
    return buffer.getvalue()


def headed(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An NPY file with any header."""
    return b"\x93NUMPY" + version + len(header).to_bytes(2 if version[0] == 1 else 4, "little") + header.encode() + data


class Trap:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


class TestNpy(EncoderContract):
    """The contract of codecs, and the rules of NPY."""

    content_type = "application/x-npy"
    samples = (
        saved(np.float32([[1, 2], [3, 4]])),
        saved(np.arange(6).reshape(2, 3).T),
        saved(np.array(["a", "bc"])),
        saved(np.array([True, False])),
    )

    @pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
    @pytest.mark.parametrize("dtype", ["?", "<i1", "<i8", ">i4", "<u2", "<f2", "<f4", ">f8", "<U3", ">U3", "|S4"])
    def test_reads_what_numpy_writes(self, dtype: str, version: tuple[int, int]) -> None:
        """All versions and dtypes of numbers, booleans and strings read as numpy reads them, in native byte order."""
        array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
        for ordered in (array, np.asfortranarray(array), array[0], array[0, 1]):
            found = self.read(saved(ordered, version))[UNNAMED]
            np.testing.assert_array_equal(found, ordered)
            assert found.shape == np.shape(ordered)
            assert found.dtype.isnative

    def test_nothing_is_copied(self) -> None:
        """The array looks into the body."""
        body = saved(np.arange(1000.0))
        found = self.read(body)[UNNAMED]
        assert np.shares_memory(found, np.frombuffer(body, np.uint8))
        assert not found.flags.writeable

    def test_numpy_reads_what_is_written(self) -> None:
        """Answers are NPY files whose data begins at a multiple of 64 bytes."""
        array = np.float32([[1, 2, 3]])
        body = self.write(array)
        np.testing.assert_array_equal(np.load(io.BytesIO(body)), array)
        assert (len(body) - array.nbytes) % 64 == 0

    @pytest.mark.parametrize(
        ("array", "dtype"),
        [(np.array(["a", b"bc"], object), "<U2"), (np.array([b"\xff"], object), "|S1"), (np.longdouble([1.5]), "<f8")],
    )
    def test_writes_no_pickle(self, array: Array, dtype: str) -> None:
        """Objects that are strings are written as strings, long doubles as doubles."""
        assert np.load(io.BytesIO(self.write(array))).dtype == np.dtype(dtype)

    def test_header_of_another_writer(self) -> None:
        """Keys in another order and quotes of another kind are read."""
        body = headed('{"shape": (2,), "descr": "<f4", "fortran_order": False}\n', np.float32([1, 2]).tobytes())
        assert self.read(body)[UNNAMED].tolist() == [1, 2]

    def test_odd_booleans_are_true(self) -> None:
        """Bytes of a boolean array that are neither 0 nor 1 count as true."""
        body = headed("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", b"\x00\x01\x07")
        assert self.read(body)[UNNAMED].astype(np.int8).tolist() == [0, 1, 1]

    @pytest.mark.parametrize(
        ("descr", "shape", "data", "message"),
        [
            ("'<f4'", "(3,)", 8, "says 12 bytes of data, 8 follow"),
            ("'<f4'", "(1,)", 8, "says 4 bytes of data, 8 follow"),
            ("'<f4'", "(10**30,)", 8, "malformed"),
            ("'<f4'", "(1000000000000, 1000000000000, 1000000000000)", 8, "says 4000000000000000000000000000000000000 bytes"),
            ("'<f4'", "(0, 4)", 0, "no elements"),
            ("'<f4'", "(-1, -2)", 8, "shape"),
            ("'<f4'", "(True,)", 4, "shape"),
            ("'<f4'", "[2]", 8, "shape"),
            ("'<f4'", "(" + "1," * 33 + ")", 4, "shape"),
            ("'|O'", "(1,)", 8, "pickles, which could run code"),
            ("[('a', '<f4')]", "(1,)", 4, "not read"),
            ("'<c8'", "(1,)", 8, "not read"),
            ("'<M8[s]'", "(1,)", 8, "not read"),
            ("'<f16'", "(1,)", 16, "not read"),
            ("'|V4'", "(1,)", 4, "not read"),
            ("'<U0'", "(1,)", 0, "not read"),
            ("'<i4,<i4'", "(1,)", 8, "not read"),
            ("'nonsense'", "(1,)", 4, "not read"),
            ("'1<f8'", "(1,)", 8, "not read"),
            ("'<U99999999999'", "(1,)", 4, "not read"),
            ("5", "(1,)", 4, "not read"),
            ("'<U1'", "(2,)", 8, "beyond Unicode"),
        ],
    )
    def test_refuses_headers(self, descr: str, shape: str, data: int, message: str) -> None:
        """A header that lies, or of a dtype that is not read, is a 400 that says so."""
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
        self.refuse(headed(header, b"\xff" * data), message)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"\x93NUMPX", "not an NPY file"),
            (b"\x93NUMPY", "truncated"),
            (b"\x93NUMPY\x04\x00\x00\x00\x00\x00", "version other than 1 to 3"),
            (b"\x93NUMPY\x01\x00\xff\xff{}", "its header has 65535 bytes"),
            (headed("{}"), "expected a dictionary"),
            (headed("[]"), "expected a dictionary"),
            (headed("{'descr': __import__('os')}"), "expected a dictionary"),
            (headed("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", b"1234"), "fortran_order"),
            (headed("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", b"1234"), "no other key"),
            (headed("(" * 5000), "expected a dictionary"),
            (headed("-" * 9000 + "1"), "expected a dictionary"),
            (headed("+1" * 4500), "expected a dictionary"),
            (headed("\0"), "expected a dictionary"),
            (headed("{[]: 1}"), "expected a dictionary"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """What is no NPY file is a 400, however its header is made; nothing of it is evaluated."""
        self.refuse(body, message)

    def test_pickles_are_not_executed(self, tmp_path: Path) -> None:
        """A pickle in an array of objects, or in place of the file, is refused and not run."""
        trap = Trap(tmp_path / "ran")
        buffer = io.BytesIO()
        np.save(buffer, np.array([trap], object), allow_pickle=True)
        for body in (buffer.getvalue(), pickle.dumps(trap)):
            with pytest.raises(BadRequest):
                self.read(body)
        assert not trap.path.exists()

    def test_limit(self) -> None:
        """An array of more than the limit is a 413."""
        with pytest.raises(PayloadTooLarge):
            self.read(saved(np.zeros(100)), limit=799)

    @fuzz
    @given(array=arrays.arrays(st.sampled_from(["<f4", "<i8", "|b1", "<u2", "<f2"]), arrays.array_shapes(max_dims=4)))
    def test_round_trip(self, array: Array) -> None:
        """What is written reads back bit by bit."""
        body, _ = codecs.encode({"a": array}, self.content_type)
        found = codecs.decode(body, self.content_type, None, LIMIT)[UNNAMED]
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
