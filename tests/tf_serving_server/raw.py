"""`python -m tests.tf_serving_server.raw REQUESTS ANSWERS`: what a raw `session.run` makes of PredictRequests.

REQUESTS is a pickled list of (version folder, serialized message); ANSWERS becomes one of {output: (dtype, shape, bytes, or a
list of strings)}.
"""

from __future__ import annotations

import functools
import pickle
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.tf_serving_server.models import Version


def main(requests: Path, answers: Path) -> None:
    """Run every request."""
    load, found = functools.cache(Version), []
    for folder, body in pickle.loads(requests.read_bytes()):
        version, request = load(Path(folder)), predict_pb2.PredictRequest.FromString(body)
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        outputs = version.run(version.signature(request.model_spec.signature_name), inputs, list(request.output_filter))
        found.append({name: plain(value) for name, value in outputs.items()})
    answers.write_bytes(pickle.dumps(found))


def plain(value: Any) -> tuple[str, tuple[int, ...], Any]:
    """An array as what can be compared bit for bit."""
    return value.dtype.name, value.shape, value.tolist() if value.dtype.kind == "O" else value.tobytes()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
