"""Other engines for `onnx_suite.py`: what prepares a model and runs it on numpy arrays, small element types included."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

os.environ.setdefault("ALLOW_RELEASED_ONNX_OPSET_ONLY", "0")  # onnxruntime's, for the newest opset

Run = Callable[[dict[str, Any]], list[Any]]


class Refused(Exception):
    """What an engine says of a model that it does not take."""


class Prepared:
    """A model in an engine, run as ours is."""

    def __init__(self, engine: str, model: onnx.ModelProto) -> None:
        try:
            self.run: Run = {"onnxruntime": onnxruntime, "reference": reference}[engine](model)
        except Exception as error:
            raise Refused(str(error) or type(error).__name__) from error


def reference(model: onnx.ModelProto) -> Run:
    """ONNX's reference evaluator."""
    evaluator = ReferenceEvaluator(model)
    return lambda inputs: list(evaluator.run(None, inputs))


def onnxruntime(model: onnx.ModelProto) -> Run:
    """onnxruntime on the CPU; types that numpy lacks go in and out as their bits."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    known = {info.name for info in session.get_inputs()}
    names = [info.name for info in session.get_outputs()]
    has_small = any(
        "float8" in info.type or "bfloat16" in info.type for info in (*session.get_inputs(), *session.get_outputs())
    )

    def run(inputs: dict[str, Any]) -> list[Any]:
        given = {name: value for name, value in inputs.items() if name in known}
        if not has_small:
            return list(session.run(names, given))
        values = {name: _value(runtime, value) for name, value in given.items()}
        found = [value.numpy() for value in session.run_with_ort_values(names, values)]
        return [_typed(array, info) for array, info in zip(found, model.graph.output, strict=True)]

    return run


def _value(runtime: Any, array: Any) -> Any:
    array = np.ascontiguousarray(array)
    if array.dtype.isbuiltin == 1:
        return runtime.OrtValue.ortvalue_from_numpy(array)
    bits = array.view({1: np.uint8, 2: np.uint16}[array.dtype.itemsize])
    return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, helper.np_dtype_to_tensor_dtype(array.dtype))


def _typed(array: Any, info: Any) -> Any:
    wanted = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    return array.view(wanted) if array.dtype != wanted and array.itemsize == wanted.itemsize else array
