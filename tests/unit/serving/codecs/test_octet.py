"""application/octet-stream: raw rows of the model's input, or an NPY file."""

from __future__ import annotations

import numpy as np
import pytest

from serving import codecs
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array
from serving.models.signature import Signature, Tensor
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, one_input
from tests.unit.serving.codecs.test_npy import saved


class TestOctetStream(EncoderContract):
    """The contract of codecs, and the two readings of raw bytes."""

    content_type = "application/octet-stream"
    signature = one_input(None, 2)
    samples = (np.float32([[1, 2], [3, 4]]).tobytes(), saved(np.arange(6.0).reshape(3, 2)))

    def read_back(self, body: bytes, array: Array) -> Array:
        """The bytes in the array's own dtype and row shape, as a client would read them."""
        signature = Signature((Tensor("data", (None, *array.shape[1:]), array.dtype.newbyteorder("=")),))
        return codecs.decode(body, self.content_type, signature, LIMIT)[UNNAMED]

    def test_rows(self) -> None:
        """Bytes are rows of the model's only input, little-endian, not copied."""
        body = np.float32([[1, 2], [3, 4]]).tobytes()
        found = self.read(body)[UNNAMED]
        assert found.tolist() == [[1, 2], [3, 4]]
        assert np.shares_memory(found, np.frombuffer(body, np.uint8))

    def test_big_endian_signature(self) -> None:
        """Bytes are little-endian whatever byte order the signature's dtype has."""
        found = codecs.decode(np.int32([1]).tobytes(), self.content_type, one_input(None, dtype=">i4"), LIMIT)
        assert found[UNNAMED].tolist() == [1]

    def test_npy_comes_first(self) -> None:
        """A body that begins as NPY does is one, though its size be a whole number of rows."""
        body = saved(np.float32([[1, 2]]))
        assert len(body) % 8 == 0
        assert self.read(body)[UNNAMED].tolist() == [[1, 2]]

    @pytest.mark.parametrize(
        ("signature", "message"),
        [
            (None, "one input of a known row shape alone"),
            (Signature((Tensor("a", (None, 2), np.dtype("f4")), Tensor("b", (None, 2), np.dtype("f4")))), "one input"),
            (Signature((Tensor("a", None, np.dtype("f4")),)), "one input"),
            (one_input(None, None, 3), "one input"),
            (one_input(None, 2, dtype="U"), "one input"),
            (one_input(None, 3), r"rows of 12 bytes each for data: float32 \(\*, 3\); found 8 bytes"),
            (one_input(None, 0), "rows of 0 bytes"),
        ],
    )
    def test_refuses(self, signature: Signature | None, message: str) -> None:
        """Bytes without a known row, or of no whole number of rows, are a 400 that says what was expected."""
        with pytest.raises(BadRequest, match=message):
            codecs.decode(b"\x00" * 8, self.content_type, signature, LIMIT)

    def test_booleans_are_0_or_1(self) -> None:
        """Bytes for a boolean input that are neither 0 nor 1 count as true."""
        found = codecs.decode(b"\x00\x01\x07", self.content_type, one_input(None, dtype="bool"), LIMIT)[UNNAMED]
        assert found.astype(np.int8).tolist() == [0, 1, 1]

    def test_answers_are_little_endian(self) -> None:
        """Outputs in another byte order or memory layout are written little-endian in C order."""
        assert self.write(np.array([[1, 2], [3, 4]], ">i2").T) == np.array([[1, 3], [2, 4]], "<i2").tobytes()
