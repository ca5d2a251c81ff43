"""What a model should answer: onnxruntime where it is installed, else onnx's reference evaluator, mended.

    model + feeds -> prepare -> onnxruntime, one thread, no optimizations
                             -> Evaluator: where onnxruntime is missing or cannot run the model

The two agree on real models within rounding. Which one judged is said in `Oracle.name`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner

from onnx_import import weights
from onnx_import.dtypes import ONNX_NAMES, true_dtype
from onnx_import.errors import OnnxImportError
from onnx_import.oracle.evaluator import Evaluator, NoAnswer

REFERENCE = f"onnx {onnx.__version__} reference evaluator"
MAX_PROTO = 2**31 - 1
"""Bytes that protobuf serializes in one piece; larger models are evaluated in place."""


class OracleError(OnnxImportError):
    """No oracle can run the model, so nothing can be said of its answers."""


Run = Callable[[Mapping[str, Any]], list[Any]]


@dataclass(frozen=True)
class Oracle:
    """Something that knows a model's right answers: `name` says what, `run` takes feeds by name and gives outputs in order.

    `quick` refuses, by OracleError, what only a slower way of `run` would answer.
    """

    name: str
    run: Run
    quick: Run | None = None


def prepare(model: onnx.ModelProto, path: Path | None = None) -> Oracle:
    """The best oracle for a model; OracleError, naming the operator, where there is none.

    `path` is a file of the very same model: onnxruntime reads it without a copy in between. Weights that are mapped are
    copied into the model where anything else has to be asked.
    """
    if importlib.util.find_spec("onnxruntime"):
        found = _onnxruntime(model, str(path)) if path else None
        if found is None and weights.whole(model).ByteSize() < MAX_PROTO:
            found = _onnxruntime(model, weights.whole(model).SerializeToString())
        if found is not None:
            return found
    return reference(weights.whole(model))


def answers(model: onnx.ModelProto, feeds: Mapping[str, Any]) -> list[Any]:
    """The outputs of a model, in their order, by the best oracle there is."""
    return prepare(model).run(feeds)


def reference(model: onnx.ModelProto) -> Oracle:
    """The mended reference evaluator as an oracle."""
    try:
        # The evaluator passes attributes of a function to some operators alone.
        evaluator = Evaluator(onnx.inliner.inline_local_functions(model) if model.functions else model)
    except (NotImplementedError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise OracleError(f"the reference evaluator cannot take this model: {_line(error)}; {_REMEDY}") from error

    def run(feeds: Mapping[str, Any]) -> list[Any]:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return evaluator.run(None, feeds)
        except NoAnswer as error:
            raise OracleError(f"the reference evaluator cannot run this model: {error}; {_REMEDY}") from error

    return Oracle(REFERENCE, run)


_REMEDY = "pip install onnxruntime, which is asked first, or convert without verification"


def _line(error: BaseException) -> str:
    """The first line of an error's text, or its type's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _onnxruntime(model: onnx.ModelProto, source: str | bytes) -> Oracle | None:
    """onnxruntime as an oracle, by a model's path or bytes; None for models that it refuses."""
    import onnxruntime as ort  # type: ignore[import-not-found,unused-ignore]

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - its error classes share no base but Exception
        return None
    del source
    kinds = [info.type.tensor_type.elem_type for info in model.graph.output]

    def quick(feeds: Mapping[str, Any]) -> list[Any]:
        try:
            found = session.run(None, dict(feeds))
        except Exception as error:  # noqa: BLE001 - as above
            raise OracleError(f"onnxruntime cannot run this model: {_line(error)}") from None
        return [_as_declared(value, kind) for value, kind in zip(found, kinds, strict=True)]

    def run(feeds: Mapping[str, Any]) -> list[Any]:
        try:
            return quick(feeds)
        except OracleError as refusal:  # what it refuses by value the evaluator may still answer
            try:
                return reference(weights.whole(model)).run(feeds)
            except OracleError:
                raise refusal from None

    return Oracle(f"onnxruntime {ort.__version__}", run, quick)


def _as_declared(value: Any, kind: int) -> Any:
    """Small floats in their own dtype: onnxruntime hands out their bits as whole numbers."""
    wanted = true_dtype(ONNX_NAMES.get(kind, "float32"))
    bits = (
        isinstance(value, np.ndarray) and value.dtype.kind == "u" and wanted.kind == "V" and wanted.itemsize == value.itemsize
    )
    return value.view(wanted) if bits else value
