"""The requests that a SavedModel brings for its warm-up, in assets.extra/tf_serving_warmup_requests.

The file is TFRecords (u64 length, u32 checksum, data, u32 checksum; tensorflow/core/lib/io/record_writer.h), each a PredictionLog
(tensorflow_serving/apis/prediction_log.proto); what TF Serving does with it: its g3doc/saved_model_warmup.md.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from pathlib import Path

from serving.models import wire

log = logging.getLogger("ei.models")

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_REQUESTS = 1000
"""As many as TF Serving takes."""

KINDS = {2: "classify", 3: "regress", 4: "multi_inference", 5: "session_run", 6: "predict", 7: "predict_streamed"}
"""The field of a PredictionLog that holds the log of a request, and the kind of request it is."""

SUPPORTED = ("classify", "regress", "predict")
REQUEST = 1
"""The request's field within its log, in every kind."""


def warmup_requests(directory: Path) -> list[tuple[str, bytes]]:
    """(kind, serialized request) of each request, in order; kinds are predict, classify and regress.

    There may be none. A broken file is a warning in the log, with the requests before the damage; others of TF Serving's
    kinds are left out with one.
    """
    path = directory / FILE
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("%s cannot be read, so that its warm-up requests are not made: %s", path, error.strerror or error)
        return []
    found: list[tuple[str, bytes]] = []
    try:
        for record in _records(data):
            found += _requests(record)
            if len(found) > MAX_REQUESTS:
                log.warning("%s holds more than %d requests: the others are not made", path, MAX_REQUESTS)
                break
    except wire.Broken as error:
        log.warning("%s is broken: %s; %d warm-up requests were read", path, error, len(found))
    others = sorted({kind for kind, _ in found} - set(SUPPORTED))
    if others:
        log.warning("%s: requests of the kinds %s are not made", path, ", ".join(others))
    return [entry for entry in found[:MAX_REQUESTS] if entry[0] in SUPPORTED]


def _records(data: memoryview) -> Iterator[memoryview]:
    at = 0
    while at < len(data):
        if len(data) - at < 16:
            raise wire.Broken("it is cut off")
        (size,) = struct.unpack_from("<Q", data, at)
        if size > len(data) - at - 16:
            raise wire.Broken(f"it is cut off, or damaged near byte {at}: a record of {size} bytes")
        yield data[at + 12 : at + 12 + size]
        at += 16 + size


def _requests(record: memoryview) -> Iterator[tuple[str, bytes]]:
    for entry in wire.fields(record):
        if entry.number in KINDS:
            for inner in wire.fields(entry.value):
                if inner.number == REQUEST:
                    yield KINDS[entry.number], bytes(inner.value)
