"""Warm-up requests that a SavedModel brings: what is read of whole files, and what of broken ones."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import pytest

from serving.backends import tensorflow_import
from serving.models import tf_warmup
from serving.models.tf_warmup import FILE, MAX_REQUESTS, warmup_requests
from tests.tf_models import models


def record(data: bytes) -> bytes:
    """A TFRecord, with checksums that nobody looks at."""
    return struct.pack("<Q", len(data)) + b"crc!" + data + b"crc!"


def log(field: int, request: bytes) -> bytes:
    """A PredictionLog with a request in one of its logs."""
    inner = b"\x0a" + bytes([len(request)]) + request
    return bytes([field << 3 | 2, len(inner)]) + inner


def write(folder: Path, data: bytes) -> Path:
    """A model folder with this warm-up file."""
    (folder / FILE).parent.mkdir()
    (folder / FILE).write_bytes(data)
    return folder


def test_a_file_of_tensorflow() -> None:
    """A file that TensorFlow wrote gives its requests, in order, as TF Serving's messages."""
    tensorflow_import.protos()
    from tensorflow_serving.apis import classification_pb2, predict_pb2, regression_pb2

    requests = warmup_requests(models() / "warm/1")
    assert [kind for kind, _ in requests] == ["predict", "regress", "classify"]
    predict = predict_pb2.PredictRequest.FromString(requests[0][1])
    assert (predict.model_spec.name, [dim.size for dim in predict.inputs["x"].tensor_shape.dim]) == ("warm", [1, 64])
    for message, data in zip(
        (regression_pb2.RegressionRequest, classification_pb2.ClassificationRequest),
        (requests[1][1], requests[2][1]),
        strict=True,
    ):
        example = message.FromString(data).input.example_list.examples[0]
        assert list(example.features.feature["x"].float_list.value) == [2]


def test_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A model without one has no requests, and nothing is said."""
    assert warmup_requests(tmp_path) == []
    assert caplog.text == ""


@pytest.mark.parametrize("data", [b"", record(b"")])
def test_an_empty_file(tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """An empty file, or an empty record, is no request."""
    assert warmup_requests(write(tmp_path, data)) == []
    assert caplog.text == ""


@pytest.mark.parametrize(
    "tail",
    [b"\0", record(log(6, b"two"))[:-1], struct.pack("<Q", 1 << 62) + b"x" * 20, record(b"\x32\x7f\x0a")],
    ids=["byte", "cut off", "length", "message"],
)
def test_a_broken_file(tmp_path: Path, tail: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The requests before the damage are read, and a warning tells of it."""
    with caplog.at_level(logging.WARNING, "ei.models"):
        assert warmup_requests(write(tmp_path, record(log(6, b"one")) + tail)) == [("predict", b"one")]
    assert "tf_serving_warmup_requests is broken: it is" in caplog.text
    assert "1 warm-up requests were read" in caplog.text


def test_other_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Kinds of requests that are not served are left out, and named."""
    data = b"".join(record(log(field, b"r")) for field in (4, 5, 2, 7))
    with caplog.at_level(logging.WARNING, "ei.models"):
        assert warmup_requests(write(tmp_path, data)) == [("classify", b"r")]
    assert "of the kinds multi_inference, predict_streamed, session_run are not made" in caplog.text


def test_too_many(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of more requests than TF Serving takes the first are taken."""
    data = record(log(6, b"r")) * (MAX_REQUESTS + 5)
    with caplog.at_level(logging.WARNING, "ei.models"):
        assert len(warmup_requests(write(tmp_path, data))) == MAX_REQUESTS
    assert f"more than {MAX_REQUESTS} requests" in caplog.text


def test_what_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder in the file's place, say, is a warning."""
    (tmp_path / FILE).mkdir(parents=True)
    with caplog.at_level(logging.WARNING, "ei.models"):
        assert tf_warmup.warmup_requests(tmp_path) == []
    assert "cannot be read" in caplog.text
