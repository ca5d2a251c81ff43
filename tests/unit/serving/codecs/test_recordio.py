"""application/x-recordio-protobuf: frames, records, dense and sparse features."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from serving import codecs
from serving.codecs import recordio
from serving.errors import NotAcceptable
from serving.invocation import UNNAMED, Array
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, one_input


def frame(data: bytes, part: int = 0) -> bytes:
    """A RecordIO frame, written from the format's description."""
    return struct.pack("<II", 0xCED7230A, part << 29 | len(data)) + data + b"\0" * (-len(data) % 4)


def field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field of at most 127 bytes, written from the encoding's description."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def feature(name: str, tensor: bytes, kind: int = 2) -> bytes:
    """An entry of a Record's features: kind 2 is float32, 3 float64, 7 int32, 9 bytes."""
    return field(1, field(1, name.encode()) + field(2, field(kind, tensor)))


def floats(*values: float, keys: tuple[int, ...] = (), shape: tuple[int, ...] = ()) -> bytes:
    """A Float32Tensor message."""
    message = field(1, struct.pack(f"<{len(values)}f", *values))
    message += field(2, bytes(keys)) if keys else b""
    return message + (field(3, bytes(shape)) if shape else b"")


def rows(*messages: bytes) -> bytes:
    """Framed records with these `values` features."""
    return b"".join(frame(feature("values", message)) for message in messages)


class TestRecordIO(EncoderContract):
    """The contract of codecs, and the rules of records."""

    content_type = "application/x-recordio-protobuf"
    carries_several = True
    samples = (
        rows(floats(1, 2), floats(3, 4)),
        rows(floats(5, keys=(2,), shape=(4,))),
        frame(feature("a", floats(1, shape=(1,))) + feature("b", field(1, b"\x01\x02"), 7)),
    )

    def test_dense_rows(self) -> None:
        """Records become the rows of one unnamed tensor, in the type that they have."""
        found = self.read(rows(floats(1, 2), floats(3, 4)))[UNNAMED]
        assert (found.dtype, found.tolist()) == (np.float32, [[1, 2], [3, 4]])
        doubles = self.read(frame(feature("values", field(1, struct.pack("<d", 0.1)), 3)))[UNNAMED]
        assert (doubles.dtype, doubles.tolist()) == (np.float64, [[0.1]])
        whole = self.read(frame(feature("values", field(1, b"\x05\x07"), 7)))[UNNAMED]
        assert (whole.dtype, whole.tolist()) == (np.int32, [[5, 7]])

    def test_sparse_rows(self) -> None:
        """Values stand at their keys, flat and row-major, in the shape that the record states."""
        found = self.read(rows(floats(5, 6, keys=(1, 3), shape=(2, 2)), floats(7, keys=(0,), shape=(2, 2))))[UNNAMED]
        assert found.tolist() == [[[0, 5], [0, 6]], [[7, 0], [0, 0]]]

    def test_shapes(self) -> None:
        """A stated shape is the row's; a flat row takes that of the model's input."""
        assert self.read(rows(floats(1, 2, 3, 4, shape=(2, 2))))[UNNAMED].shape == (1, 2, 2)
        signature = one_input(None, 2, 2)
        for message in (floats(1, 2, 3, 4), floats(1, keys=(3,))):
            assert codecs.decode(rows(message), self.content_type, signature, LIMIT)[UNNAMED].shape == (1, 2, 2)

    def test_names_and_labels(self) -> None:
        """Other features keep their names; labels, ids and fields of later versions are passed over."""
        label = field(2, field(1, b"values") + field(2, field(2, floats(1))))
        record = feature("a", floats(1)) + feature("b", floats(2)) + label + field(3, b"uid") + field(15, b"later")
        assert sorted(self.read(frame(record))) == ["a", "b"]

    def test_records_that_were_split(self) -> None:
        """A record that its writer split at the magic number is put together again."""
        record = feature("values", floats(1, struct.unpack("<f", struct.pack("<I", 0xCED7230A))[0], 2))
        before, _, after = record.partition(struct.pack("<I", 0xCED7230A))
        found = self.read(frame(before, 1) + frame(after, 3))[UNNAMED]
        np.testing.assert_array_equal(found, self.read(frame(record))[UNNAMED])

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"\0" * 8, "no frame begins at byte 0"),
            (rows(floats(1)) + b"xy", "no frame begins at byte"),
            (rows(floats(1))[:-1], "truncated"),
            (frame(b"x", 2), "no frame begins at byte 0"),
            (frame(b"x", 3), "no frame begins at byte 0"),
            (frame(b"x", 5), "no frame begins at byte 0"),
            (frame(b"x", 1), "last record has no end"),
            (frame(b"x", 1) + frame(b"y", 0), "no frame begins at byte 12"),
            (frame(b"\xff\xff"), "record 0 is not a Record message"),
            (frame(field(1, field(1, b"\xff") + field(2, field(2, floats(1))))), "record 0 is not a Record message"),
            (frame(b""), "record 0 has no features"),
            (frame(field(1, field(1, b"values"))), "record 0: a feature is no float32"),
            (frame(field(1, field(1, b"a") + field(2, b""))), "record 0: a feature is no float32"),
            (frame(feature("values", field(1, b"jpeg"), 9)), "record 0: a feature is no float32"),
            (rows(floats()), "0 values"),
            (rows(floats(1, 2, shape=(3,))), "2 values for its shape"),
            (rows(floats(1), floats(1, 2)), "'values' of record 1 differs from record 0"),
            (rows(floats(1)) + frame(feature("values", field(1, b"\1"), 7)), "differs from record 0 in shape or type"),
            (rows(floats(1)) + frame(feature("a", floats(1))), "record 1 has other features than record 0"),
            (rows(floats(1, keys=(1,))), "states no shape"),
            (rows(floats(1, keys=(4,), shape=(4,))), "outside its shape"),
            (rows(floats(1, 2, keys=(1,), shape=(4,))), "found 1 for 2"),
            (rows(floats(1, keys=(1,), shape=(0,))), "no shape to fill"),
            (rows(floats(1, keys=(1,), shape=(127,) * 40)), "no shape to fill"),
            (rows(floats(1, keys=(1,), shape=(127,) * 10)), "unpacks to more"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """A frame, a record or a feature that is malformed or unlike the first is a 400 that says which."""
        self.refuse(body, message)

    def test_rows_share_one_limit(self) -> None:
        """Sparse records that are small one by one are a 400 once they exceed the limit together."""
        self.refuse(rows(*[floats(1, keys=(1,), shape=(100, 100))] * 30), "record 26: .*unpacks to more than")

    def test_shapes_of_answers(self) -> None:
        """Rows of several axes keep them; single values come back as rows of one."""
        assert self.read(self.write(np.zeros((2, 3, 4))))[UNNAMED].shape == (2, 3, 4)
        assert self.read(self.write(np.zeros(2)))[UNNAMED].shape == (2, 1)
        assert sorted(self.read(self.write([[1.0]], [[2]]))) == ["a", "b"]

    @pytest.mark.parametrize("output", [np.array([[2**31]]), np.array([["a"]])])
    def test_what_records_cannot_carry(self, output: Array) -> None:
        """Integers beyond 32 bits and strings are a 406 that says what carries them."""
        with pytest.raises(NotAcceptable, match="32-bit integers"):
            self.write(output)

    def test_outputs_of_different_lengths(self) -> None:
        """Outputs that differ in rows have no records: a 406."""
        with pytest.raises(NotAcceptable, match="number of rows"):
            self.write([[1.0]], [[2.0], [3.0]])

    def test_own_pool(self) -> None:
        """A script may load a message of the same name into protobuf's own pool."""
        from google.protobuf import descriptor_pool

        with pytest.raises(KeyError):
            descriptor_pool.Default().FindMessageTypeByName("aialgs.data.Record")  # type: ignore[no-untyped-call]
        message: Any = recordio._record_type()
        assert message.DESCRIPTOR.full_name == "aialgs.data.Record"
