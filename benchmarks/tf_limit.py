"""The limit of a SavedModel: its pass and nothing else, in as many processes of one thread as there are cores.

usage: python -m benchmarks.tf_limit MODEL_DIRECTORY SECONDS BATCH...

Prints {BATCH: {"rows_per_second", "pass_ms"}} as JSON, as limit.py does. The pass is our backend's, the fastest way that we know;
at the first batch size two ways of TensorFlow's Python package follow: a session's callable, and a signature's function.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.limit import measure

Run = Callable[[], Any]


def session(directory: str, batch: int) -> Run:
    """A session's callable, in the thread that calls it."""
    v1 = imported().compat.v1
    config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
    running = v1.Session(graph=v1.Graph(), config=config)
    with running.graph.as_default():
        meta_graph = v1.saved_model.load(running, ["serve"], str(version(directory)))
    signature = meta_graph.signature_def["serving_default"]
    ((taken,), (given,)) = signature.inputs.values(), signature.outputs.values()
    call = running.make_callable(given.name, feed_list=[taken.name])
    rows = made_up(batch, [dim.size for dim in taken.tensor_shape.dim[1:]])
    return lambda: call(rows)


def signature(directory: str, batch: int) -> Run:
    """The function of a signature, from a numpy array to another."""
    tf = imported()
    loaded = tf.saved_model.load(str(version(directory)))
    function = loaded.signatures["serving_default"]
    ((key, spec),) = function.structured_input_signature[1].items()
    ((output, _),) = function.structured_outputs.items()
    rows = made_up(batch, spec.shape[1:])

    def run(keep: Any = loaded) -> Any:  # its functions do not keep its variables alive
        return function(**{key: tf.constant(rows)})[output].numpy()

    return run


def library(directory: str, batch: int) -> Run:
    """Our backend."""
    from serving.backends import tensorflow

    model = tensorflow.load(version(directory))
    (tensor,) = model.signatures["serving_default"].inputs
    assert tensor.shape is not None
    inputs = {tensor.name: made_up(batch, tensor.shape[1:])}
    return lambda: model.run("serving_default", inputs)


WAYS = {"by a session's callable": session, "by a signature's function": signature}


def made_up(batch: int, row: Any) -> Any:
    """So many rows by chance."""
    import numpy as np

    return np.random.default_rng(7).random((batch, *row), dtype="float32")


def version(directory: str) -> Path:
    """The only version of a model directory."""
    return next(Path(directory).glob("*/saved_model.pb")).parent


def imported() -> Any:
    """TensorFlow's package, with one thread."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf


def main(directory: str, seconds: float, batches: list[str]) -> dict[str, Any]:
    """Every batch size by our backend, and the first by the other ways."""
    found = {batch: measure(library, directory, seconds, int(batch)) for batch in batches}
    first = batches[0]
    found |= {f"{first} {name}": measure(way, directory, seconds, int(first)) for name, way in WAYS.items()}
    return found


if __name__ == "__main__":
    where, duration, *sizes = sys.argv[1:]
    print(json.dumps(main(where, float(duration), sizes)))
