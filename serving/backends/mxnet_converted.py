"""Models that `ei convert` wrote: MXNet artifacts that answer under the names, dtypes and shapes of an ONNX file.

    conversion.json -> rows of one shape, one symbol for all of them -> SymbolModel, stacked like any other
                    -> anything else                                 -> the graph, lowered for each shape when it is first seen

The second kind takes what the first cannot: inputs without a row axis, other open sizes, text, operators that run outside MXNet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from onnx_import.dtypes import true_dtype
from onnx_import.errors import OnnxImportError
from serving.backends.mxnet import SymbolModel, numpy_shapes, split_params
from serving.backends.mxnet_import import import_mxnet
from serving.errors import BadRequest, ModelError
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.layout import Layout
from serving.models.signature import Signature, Tensor

REPORT = "conversion.json"
PLAIN = {"float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"}


def is_converted(layout: Layout) -> bool:
    """Whether a model directory holds an artifact of `ei convert`."""
    return (layout.directory / REPORT).is_file()


def load(layout: Layout) -> Any:
    """The loaded model of a converted artifact; ModelError where its files do not belong together."""
    try:
        report = json.loads((layout.directory / REPORT).read_bytes())
        stacks = _is_of_rows(report)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{layout.directory / REPORT} cannot be used: {error!r}; convert the model again") from None
    return _symbol_model(layout, report) if stacks else ProgramModel(layout.directory, report)


def _is_of_rows(report: dict[str, Any]) -> bool:
    """Whether one symbol serves any number of rows, and every input and output is plain rows of known sizes."""
    if report["covers"] not in ("rows", "any") or report["custom_operators"] or None in report["heads"]:
        return False
    tensors = [*report["inputs"], *report["outputs"]]
    sizes = [entry["shape"] for entry in report["inputs"]]
    return all(
        entry["kind"] == "tensor" and entry["dtype"] in PLAIN and entry["shape"] and not entry.get("optional")
        for entry in tensors
    ) and (report["covers"] == "any" or all(isinstance(size, int) for shape in sizes for size in shape[1:]))


def _symbol_model(layout: Layout, report: dict[str, Any]) -> SymbolModel:
    mx = import_mxnet()
    assert layout.params is not None
    with numpy_shapes():
        symbol = mx.sym.load(str(layout.symbol))
        args, aux = split_params(mx.nd.load(str(layout.params)))
    outputs = tuple(Tensor(entry["name"], None, np.dtype(entry["dtype"])) for entry in report["outputs"])
    inputs = tuple(_rows(entry) for entry in report["inputs"])
    return SymbolModel(symbol, args, aux, Signature(inputs, outputs), heads=tuple(report["heads"]))


def _rows(entry: dict[str, Any]) -> Tensor:
    sizes = [size if isinstance(size, int) else None for size in entry["shape"]]
    return Tensor(entry["name"], (None, *sizes[1:]), np.dtype(entry["dtype"]))


class ExactSignature(Signature):
    """Inputs whose first axis need not count rows, some of which may be left out."""

    def __init__(self, entries: list[dict[str, Any]], outputs: tuple[Tensor, ...]) -> None:
        tensors = tuple(_exact(entry) for entry in entries)
        object.__setattr__(self, "optional", {entry["name"] for entry in entries if entry.get("optional")})
        super().__init__(tensors, outputs)

    def validate(self, inputs: Inputs) -> Inputs:
        """These inputs by name in the signature's dtypes and shapes, whatever their axes count; BadRequest otherwise."""
        if set(inputs) == {UNNAMED} and len(self.inputs) == 1:
            inputs = {self.inputs[0].name: inputs[UNNAMED]}
        known = [tensor.name for tensor in self.inputs]
        optional: set[str] = self.optional  # type: ignore[attr-defined]
        missing = [name for name in known if name not in inputs and name not in optional]
        unknown = [name[:40] for name in inputs if name not in known]
        if missing or unknown:
            raise BadRequest(f"wrong inputs: missing {missing}, unknown {unknown}; the model has {known}")
        return {tensor.name: _fitted(tensor, inputs[tensor.name]) for tensor in self.inputs if tensor.name in inputs}


def _exact(entry: dict[str, Any]) -> Tensor:
    shape = entry["shape"]
    sizes = None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)
    return Tensor(entry["name"], sizes, _served_dtype(entry["dtype"]))


def _served_dtype(dtype: str) -> np.dtype[Any]:
    """The dtype that requests are read in: text as objects, types that JSON and NPY lack as float32."""
    if dtype in ("string",):
        return np.dtype(object)
    try:
        return np.dtype(dtype)
    except TypeError:
        return np.dtype("int8") if "int" in dtype else np.dtype("float32")


def _fitted(tensor: Tensor, array: Array) -> Array:
    shape = tensor.shape
    if shape is not None:
        if array.ndim == len(shape) - 1 and shape[0] in (None, 1):
            array = array[np.newaxis]
        elif array.size == 1 and array.ndim != len(shape):
            array = array.reshape((1,) * len(shape))
        if array.ndim != len(shape) or any(
            want is not None and want != size for want, size in zip(shape, array.shape, strict=True)
        ):
            raise BadRequest(f"wrong shape {tuple(array.shape)}: expected {tensor}, where * is any size")
    if tensor.dtype == object:
        return array.astype(str).astype(object)
    if array.dtype == tensor.dtype:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(tensor.dtype) if array.dtype.kind in "biuf" else None
    if cast is None or (tensor.dtype.kind in "iu" and not np.array_equal(cast, array)):
        raise BadRequest(f"{tensor.name} is {array.dtype}: expected {tensor}")
    return cast


class ProgramModel:
    """A converted graph as a loaded model: every request has a pass of its own, at its own shapes."""

    stackable = False

    def __init__(self, directory: Path, report: dict[str, Any]) -> None:
        from onnx_import import artifact

        try:
            self._program = artifact.load(directory)
        except OnnxImportError as error:
            raise ModelError(str(error)) from None
        self._dtypes = {entry["name"]: entry["dtype"] for entry in report["inputs"]}
        self._names = [entry["name"] for entry in report["outputs"]]
        outputs = tuple(Tensor(entry["name"], None, _served_dtype(entry["dtype"])) for entry in report["outputs"])
        self.signature = ExactSignature(report["inputs"], outputs)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the graph's constants."""
        return sum(tensor.data.nbytes for tensor in self._program.graph.initializers.values())

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass; ModelError, which is the request's fault, where the graph does not take these shapes."""
        feeds = {name: array if self._dtypes[name] == "string" else array.astype(true_dtype(self._dtypes[name]), copy=False)
                 for name, array in inputs.items()}  # fmt: skip
        try:
            outputs = self._program.run(feeds)
        except OnnxImportError as error:
            raise ModelError(str(error)) from None
        return {name: _plain(value) for name, value in zip(self._names, outputs, strict=True)}

    def close(self) -> None:
        """Drop the graph and its executors."""
        del self._program


def _plain(value: Any) -> Array:
    """An output in a dtype that codecs know."""
    if value is None:
        return np.zeros((0,), np.float32)
    if isinstance(value, list):
        return (
            _plain(np.stack(value))
            if len({item.shape for item in value}) == 1
            else np.array([v.tolist() for v in value], object)
        )
    array = np.asarray(value)
    if array.dtype == object:
        return array.astype(str)
    if array.dtype.kind not in "biufc":
        return array.astype(_served_dtype(array.dtype.name))
    return array
