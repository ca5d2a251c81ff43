"""The model code that all TensorFlow peers share: the function of a signature, as `tf.saved_model.load` gives it.

One thread a pass, as ours has; orjson for JSON; the bodies and answers are TensorFlow Serving's.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


class Model:
    """The first version in a model directory; threads may call it at once."""

    def __init__(self, directory: str) -> None:
        version = min(path.parent for path in Path(directory).glob("*/saved_model.pb"))
        self._loaded = tf.saved_model.load(str(version))  # its functions do not keep its variables alive
        self._function = self._loaded.signatures["serving_default"]
        (self._key,) = self._function.structured_input_signature[1]

    def predict(self, rows: Any) -> Any:
        """The model's output for these rows."""
        (output,) = self._function(**{self._key: tf.constant(rows)}).values()
        return output.numpy()


def decode(body: bytes, content_type: str) -> Any:
    """Rows out of a JSON or an NPY body."""
    if content_type == "application/x-npy":
        return np.load(io.BytesIO(body))
    return np.asarray(orjson.loads(body)["instances"], "float32")


def encode(rows: Any) -> bytes:
    """Rows as JSON."""
    return orjson.dumps({"predictions": np.ascontiguousarray(rows)}, option=orjson.OPT_SERIALIZE_NUMPY)
