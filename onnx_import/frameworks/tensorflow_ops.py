"""TensorFlow's operators that Keras models have and tf2onnx cannot say in ONNX; imported before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from tf2onnx import utils
from tf2onnx.handler import tf_op


@tf_op("Erfc")
class Erfc:
    """One minus the error function: what the exact GELU is made of."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
        """ONNX has the error function itself."""
        dtypes, shapes = [ctx.get_dtype(node.output[0])], [ctx.get_shape(node.output[0])]
        one = ctx.make_const(utils.make_name(node.name), np.array(1, utils.map_onnx_to_numpy_type(dtypes[0])))
        erf = ctx.make_node("Erf", node.input, dtypes=dtypes, shapes=shapes)
        ctx.remove_node(node.name)
        ctx.make_node("Sub", [one.output[0], erf.output[0]], name=node.name, outputs=node.output, dtypes=dtypes, shapes=shapes)


@contextmanager
def inlined() -> Iterator[None]:
    """Functions that are traced here are none that XLA compiles: a graph's optimizer leaves calls of those as they are.

    Keras makes one of every convolution by groups.
    """
    function: Callable[..., Any] = tf.function

    def plain(*given: Any, **options: Any) -> Any:
        return function(*given, **{**options, "jit_compile": None})

    with mock.patch.object(tf, "function", plain):
        yield
