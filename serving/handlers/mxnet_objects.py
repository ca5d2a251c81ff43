"""What AWS's MXNet container hands to a script's functions: Modules, their data iterators, NDArrays.

    Layout -> Module        arrays -> NDArray or NDArrayIter -> predict_fn        Outputs -> NDArray -> output_fn

Called only where a script stands in for one function and expects MXNet's own objects from the others
[aws/sagemaker-mxnet-inference-toolkit default_inference_handler.py].
"""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import numpy as np

from serving.errors import BadRequest, ModelError
from serving.handlers import mxnet_array
from serving.invocation import Array, Inputs, Outputs
from serving.models import shapes
from serving.models.layout import Layout
from serving.models.signature import Signature

BLOCK, MODULE, OTHER = "block", "module", "other"


def kind(model: Any) -> str:
    """Whether a model is a Gluon block, a Module, or nothing of MXNet's."""
    mx = sys.modules.get("mxnet")
    if mx is None:  # then the model cannot be one of its objects
        return OTHER
    if isinstance(model, mx.gluon.Block):
        return BLOCK
    return MODULE if isinstance(model, mx.mod.BaseModule) else OTHER


def default_module(layout: Layout, signature: Signature | None = None) -> Any:
    """The model directory's symbol and parameters as a bound Module, one row at first; ModelError otherwise."""
    from serving.backends import mxnet as backend
    from serving.handlers import mxnet_module

    if layout.symbol is None or layout.params is None:
        raise ModelError(
            f"{layout.directory} holds no symbol and parameters, and the user script has no model_fn to load a model"
        )
    mx = _mxnet()
    args, aux = backend.split_params(backend.load_arrays(layout.params))
    signature = signature or _signature(layout, {**args, **aux})
    unknown = [tensor.name for tensor in signature.inputs if tensor.shape is None]
    if unknown:
        raise ModelError(f"the shapes of {unknown} are not known: write them into model-shapes.json, or give a model_fn")
    return mxnet_module.bound(mx.sym.load(str(layout.symbol)), args, aux, signature)


def _signature(layout: Layout, params: dict[str, Any]) -> Signature:
    assert layout.symbol is not None
    if layout.shapes is not None:
        return shapes.read(layout.shapes)
    return shapes.infer(json.loads(layout.symbol.read_text()), {name: tuple(array.shape) for name, array in params.items()})


def to_data(decoded: Array | Inputs, model_kind: str) -> Any:
    """The decoded request as the default `input_fn` of AWS's container gives it: float32 on the CPU.

    Gluon: an NDArray (named tensors: a dict of them). Module: an NDArrayIter over all rows as one batch, which also answers
    to an NDArray's attributes, so that code written for either works. Text stays a numpy array.
    """
    if model_kind == OTHER:
        return decoded
    if isinstance(decoded, dict):
        arrays = {name: to_ndarray(array) for name, array in decoded.items()}
        return next(iter(arrays.values())) if len(arrays) == 1 and model_kind == BLOCK else arrays
    if model_kind == BLOCK or decoded.dtype.kind not in "biuf" or not decoded.ndim:
        return to_ndarray(decoded)
    return mxnet_array.rows(_float32(decoded))


def to_ndarray(array: Array) -> Any:
    """A float32 NDArray on the CPU; text stays as it is. BadRequest where there is nothing in it."""
    return mxnet_array.lazy(_float32(array)) if array.dtype.kind in "biuf" else array


def to_prediction(outputs: Outputs) -> Any:
    """Outputs as a user's `output_fn` gets them: an NDArray, or a list of them where the model has several outputs."""
    arrays = [mxnet_array.lazy(array) for array in outputs.values()]
    return arrays[0] if len(arrays) == 1 else arrays


def _float32(array: Array) -> Array:
    if not array.size:
        raise BadRequest(f"no rows: the input has the shape {array.shape}")
    return np.ascontiguousarray(array, np.float32)


def predict(model: Any, model_kind: str, data: Any) -> Any:
    """The container's default `predict_fn` on the model object itself, for data that only MXNet knows (iterators, batches)."""
    if model_kind == BLOCK:
        return model(data)
    if hasattr(data, "provide_data") and hasattr(data, "reset"):
        return model.predict(data)
    model.forward(data, is_train=False)
    outputs = model.get_outputs()
    return outputs[0] if len(outputs) == 1 else outputs


def _mxnet() -> ModuleType:
    from serving.backends.mxnet_import import import_mxnet

    return import_mxnet()
