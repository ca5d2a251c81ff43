"""What every codec promises: `CodecContract` for those that read, `EncoderContract` for those that write too.

A codec's test subclasses one of them, says its content type and gives samples; fuzzing starts from the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving import codecs
from serving.codecs import negotiate
from serving.errors import BadRequest, NotAcceptable, ServingError, UserCodeError
from serving.invocation import UNNAMED, Array, Inputs
from serving.models.signature import Signature, Tensor

LIMIT = 1 << 20
"""The largest unpacked size in these tests, in bytes."""

MAX_MESSAGE = 250

fuzz = settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)

edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4)


def one_input(*shape: int | None, dtype: str = "float32") -> Signature:
    """A signature of a single input named `data`."""
    return Signature((Tensor("data", shape, np.dtype(dtype)),))


def edited(body: bytes, changes: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The body with bytes removed and others put in at the places that hypothesis chose."""
    for at, removed, added in changes:
        place = at % (len(body) + 1)
        body = body[:place] + added + body[place + removed :]
    return body


class CodecContract:
    """The promises of a codec that reads `content_type`."""

    content_type: ClassVar[str]
    samples: ClassVar[Sequence[bytes]]
    signature: ClassVar[Signature | None] = None

    def read(self, body: bytes | memoryview, content_type: str = "", limit: int = LIMIT) -> Inputs:
        """The body's tensors, by way of the content type."""
        return codecs.decode(body, content_type or self.content_type, self.signature, limit)

    def refuse(self, body: bytes, match: str, content_type: str = "", limit: int = LIMIT) -> None:
        """Assert that the body is a 400 whose message matches."""
        with pytest.raises(BadRequest, match=match) as caught:
            self.read(body, content_type, limit)
        assert len(caught.value.message) <= MAX_MESSAGE

    def outcome(self, body: bytes) -> Inputs | ServingError:
        """Whatever comes of a body: its tensors, or an error that has a status. Anything else is raised."""
        try:
            return self.read(body)
        except ServingError as error:
            return error

    def try_to_read(self, body: bytes) -> None:
        """Assert that the body is read as arrays within the limit, or ends as a 4xx with a short message."""
        found = self.outcome(body)
        if isinstance(found, ServingError):
            assert 400 <= found.status < 500
            assert 0 < len(found.message) <= MAX_MESSAGE
            return
        assert found
        assert all(isinstance(name, str) and array.dtype.kind in "biufUS" for name, array in found.items())
        assert all(0 < array.nbytes <= LIMIT for array in found.values())

    def test_is_found_by_its_types(self) -> None:
        """Every content type of the module leads to it, in any case and with parameters."""
        module = negotiate.decoder(self.content_type)
        for content_type in module.CONTENT_TYPES:
            example = content_type.replace("*", "x-any")
            assert negotiate.decoder(f"{example.upper()} ; v=1") is module

    def test_samples_are_read(self) -> None:
        """Well-formed bodies give arrays of numbers or strings that are not empty."""
        for sample in self.samples:
            inputs = self.read(sample)
            assert all(array.size and array.dtype.kind in "biufUS" for array in inputs.values())

    def test_memoryview_reads_the_same(self) -> None:
        """A body that is a view of a larger buffer gives what its bytes give."""
        for sample in self.samples:
            view = memoryview(b"xyz" + sample + b"xyz")[3:-3]
            expected = self.read(sample)
            found = self.read(view)
            assert found.keys() == expected.keys()
            for name, array in expected.items():
                np.testing.assert_array_equal(found[name], array)

    def test_empty_body_is_refused(self) -> None:
        """An empty body is a 400 with a message."""
        self.refuse(b"", ".")

    def test_truncated_bodies_are_no_crash(self) -> None:
        """A body cut anywhere is arrays or a 4xx."""
        for sample in self.samples:
            for end in range(0, len(sample), max(1, len(sample) // 60)):
                self.try_to_read(sample[:end])

    @fuzz
    @given(body=st.binary(max_size=200))
    def test_random_bytes_are_no_crash(self, body: bytes) -> None:
        """Whatever bytes come, the answer is arrays or a 4xx."""
        self.try_to_read(body)

    @fuzz
    @given(changes=edits, which=st.integers(0, 100))
    def test_edited_samples_are_no_crash(self, changes: list[tuple[int, int, bytes]], which: int) -> None:
        """A well-formed body with a few wrong bytes is arrays or a 4xx."""
        self.try_to_read(edited(self.samples[which % len(self.samples)], changes))


NUMBERS: list[Array] = [
    np.array([[0.1, -2.5, 3e10]], np.float32),
    np.array([[0.1, -2.5], [1e300, 5e-324]], np.float64),
    np.array([[0.5, -2.25]], np.float16),
    np.array([[1, -2], [3, 4]], np.int8),
    np.array([[1, -(2**31)]], np.int32),
    np.array([[200, 0]], np.uint8),
    np.array([[True, False]]),
    np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
    np.arange(6, dtype=np.float32).reshape(2, 3).T,
    np.array([[1.5, 2.5]], ">f4"),
    np.arange(3, dtype=np.int64)[:, None],
]
"""Outputs of every kind of number and of every layout in memory."""

names_of_numbers = [f"{array.dtype.str}-{array.shape}" for array in NUMBERS]


class EncoderContract(CodecContract):
    """The promises of a codec that writes too."""

    carries_several: ClassVar[bool] = False

    def write(self, *outputs: Any) -> bytes:
        """The outputs, named a, b and so on, as this codec writes them."""
        body, content_type = codecs.encode(dict(zip("abcdef", map(np.asarray, outputs), strict=False)), self.content_type)
        assert content_type == self.content_type
        assert isinstance(body, bytes)
        return body

    def read_back(self, body: bytes, array: Array) -> Array:
        """The only tensor of what was written for this array."""
        inputs = self.read(body)
        return inputs[UNNAMED] if UNNAMED in inputs else inputs["a"]

    @pytest.mark.parametrize("array", NUMBERS, ids=names_of_numbers)
    def test_numbers_come_back(self, array: Array) -> None:
        """Numbers of every dtype and memory layout read back as the same values in the same shape."""
        found = self.read_back(self.write(array), array)
        np.testing.assert_array_equal(found.astype(array.dtype), array)
        assert found.shape == array.shape

    def test_single_value_is_written(self) -> None:
        """An output without an axis is one row."""
        assert self.write(np.float32(1.5))

    def test_complex_numbers_are_a_fault_of_the_model(self) -> None:
        """Values that are neither numbers, booleans nor strings are a 500 that names the dtype, or a 406."""
        with pytest.raises((UserCodeError, NotAcceptable)):
            self.write(np.array([1 + 2j]))

    def test_several_outputs(self) -> None:
        """Several outputs are carried, or are a 406 that says what carries them."""
        if self.carries_several:
            assert self.write([[1.0]], [[2.0]])
        else:
            with pytest.raises(NotAcceptable, match="carries one output, the model has 2"):
                self.write([[1.0]], [[2.0]])
