"""Models that `ei convert` wrote: MXNet artifacts that answer under the names, dtypes and shapes of an ONNX file.

    conversion.json -> rows of known sizes, one symbol for any number of them -> SymbolModel, stacked like any other
                    -> anything else                                          -> ProgramModel: the graph, lowered for each shape

The second kind takes what the first cannot: inputs without a row axis, open sizes, text, sequences, operators outside MXNet.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from onnx_import.errors import InvalidInput, OnnxImportError
from onnx_import.graph import Graph, Type
from serving.backends.mxnet import SymbolModel, first_line, load_arrays, numpy_shapes, split_params
from serving.backends.mxnet_import import import_mxnet
from serving.backends.mxnet_signature import ExactSignature, objects, port, served_dtype, single
from serving.errors import ModelError
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.layout import REPORT, Layout
from serving.models.signature import Signature, Tensor

PLAIN = {"float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"}


def is_converted(layout: Layout) -> bool:
    """Whether a model directory holds an artifact of `ei convert`."""
    return (layout.directory / REPORT).is_file()


def is_program(layout: Layout) -> bool:
    """Whether it holds one that no single symbol stands for; ModelError where its report cannot be read."""
    return is_converted(layout) and not is_of_rows(_report(layout))


def load(layout: Layout) -> Any:
    """The loaded model of a converted artifact; ModelError where its files do not belong together."""
    report = _report(layout)
    return _symbol_model(layout, report) if is_of_rows(report) else ProgramModel(layout.directory, report)


def _report(layout: Layout) -> dict[str, Any]:
    try:
        report = json.loads((layout.directory / REPORT).read_bytes())
        is_of_rows(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{layout.directory / REPORT} cannot be used: {error!r}; convert the model again") from None
    assert isinstance(report, dict)
    return report


def is_of_rows(report: dict[str, Any]) -> bool:
    """Whether one symbol serves any number of rows, and every input and output is plain rows of known sizes."""
    if report["covers"] not in ("rows", "any") or report["custom_operators"] or None in report["heads"]:
        return False
    inputs = report["inputs"]
    if not inputs or not all(_is_plain(entry) for entry in [*inputs, *report["outputs"]]):
        return False
    rows = {_row_name(entry["shape"][0]) for entry in inputs}
    inner = [size for entry in inputs for size in entry["shape"][1:]]
    return len(rows) == 1 and None not in rows and (report["covers"] == "any" or all(isinstance(size, int) for size in inner))


def _is_plain(entry: dict[str, Any]) -> bool:
    return entry["kind"] == "tensor" and entry["dtype"] in PLAIN and bool(entry["shape"]) and not entry.get("optional")


def _row_name(size: Any) -> str | None:
    """What the first axis counts: rows, by their name; None where it has a fixed length (of 1, rows were converted)."""
    if isinstance(size, int):
        return "" if size == 1 else None
    # tf2onnx numbers what has no name.
    return "" if size is None or re.fullmatch(r"unk__\d+", size) else str(size)


def _symbol_model(layout: Layout, report: dict[str, Any]) -> SymbolModel:
    mx = import_mxnet()
    assert layout.params is not None
    try:
        with numpy_shapes():
            symbol = mx.sym.load(str(layout.symbol))
        args, aux = split_params(load_arrays(layout.params))
    except mx.MXNetError as error:
        raise ModelError(f"MXNet cannot read the model in {layout.directory}: {first_line(error)}") from None
    outputs = tuple(Tensor(entry["name"], None, np.dtype(entry["dtype"])) for entry in report["outputs"])
    inputs = tuple(_rows(entry) for entry in report["inputs"])
    return SymbolModel(symbol, args, aux, Signature(inputs, outputs), heads=tuple(report["heads"]))


def _rows(entry: dict[str, Any]) -> Tensor:
    sizes = [size if isinstance(size, int) else None for size in entry["shape"]]
    return Tensor(entry["name"], (None, *sizes[1:]), np.dtype(entry["dtype"]))


class ProgramModel:
    """A converted graph as a loaded model: every request has a pass of its own, at its own shapes.

    Where the graph takes exactly one row, several are passed one by one. Scripts get it in place of a Module.
    """

    stackable = False

    def __init__(self, directory: Path, report: dict[str, Any]) -> None:
        from onnx_import import artifact

        try:
            self._program = artifact.load(directory)
        except OnnxImportError as error:
            raise ModelError(f"{_line(error)}; convert the model again") from None
        graph = self._program.graph
        self._absent = {info.name: None for info in graph.feeds if info.type.kind == "optional"}
        self._outputs = [(info.name, info.type) for info in graph.outputs]
        self._takes_one_row = _takes_one_row(graph)
        self.signature = _signature(graph, report.get("sample", {}), self._takes_one_row)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the graph's constants."""
        return sum(tensor.data.nbytes for tensor in self._program.graph.initializers.values())

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass; ModelError, which is the request's fault, where the graph does not take these inputs."""
        rows = len(next(iter(inputs.values()))) if self._takes_one_row else 1
        if rows == 1:
            return self._pass(inputs)
        if any(len(array) != rows for array in inputs.values()):
            raise ModelError(f"the inputs differ in their number of rows: { {k: len(v) for k, v in inputs.items()} }")
        passes = [self._pass({name: array[at : at + 1] for name, array in inputs.items()}) for at in range(rows)]
        return {name: np.concatenate([one[name] for one in passes]) for name in passes[0]}

    def __call__(self, inputs: Any) -> Outputs:
        """The outputs by name, of inputs by name or of the only one, checked and cast as a request's are."""
        given = inputs if isinstance(inputs, dict) else {UNNAMED: inputs}
        return self.forward(self.signature.validate({name: np.asarray(value) for name, value in given.items()}))

    def _pass(self, inputs: Inputs) -> Outputs:
        feeds = {name: array if array.dtype != object else _opened(array) for name, array in inputs.items()}
        try:
            outputs = self._program.run({**self._absent, **feeds})
        except (InvalidInput, OnnxImportError) as error:
            raise ModelError(_line(error)) from None
        return {name: _plain(value, kind) for (name, kind), value in zip(self._outputs, outputs, strict=True)}

    def __getattr__(self, name: str) -> Any:
        """Nothing else: a script that takes it for a Module is told so."""
        raise AttributeError(f"a converted model that is no single MXNet symbol has no {name}: call it with {{name: array}}")

    def close(self) -> None:
        """Drop the graph and its executors."""
        del self._program


def _opened(array: Array) -> Any:
    """What an array of objects stands for: text, a sequence or a map."""
    if array.ndim == 0 and isinstance(array.item(), dict):
        return array.item()
    return list(array) if array.ndim and array.size and isinstance(array.flat[0], np.ndarray) else array


def _line(error: OnnxImportError) -> str:
    return "; ".join(str(error).splitlines())


def _takes_one_row(graph: Graph) -> bool:
    """Whether every input and output is declared as exactly one row, as exporters write that trace a single example."""
    kinds = [info.type for info in (*graph.inputs, *graph.outputs)]
    return bool(graph.inputs) and all(kind.kind == "tensor" and kind.shape and kind.shape[0] == 1 for kind in kinds)


def _signature(graph: Graph, samples: dict[str, Any], takes_one_row: bool) -> ExactSignature:
    ports = []
    for info in graph.inputs:
        kind = info.type
        if takes_one_row and kind.shape:
            kind = Type(kind.kind, kind.dtype, (None, *kind.shape[1:]))
        ports.append(port(info.name, kind, info.name in graph.initializers))
    outputs = tuple(Tensor(info.name, None, served_dtype(_innermost(info.type).dtype)) for info in graph.outputs)
    return ExactSignature(tuple(ports), outputs, samples)


def _innermost(kind: Type) -> Type:
    return kind if kind.element is None else _innermost(kind.element)


def _plain(value: Any, kind: Type) -> Array:
    """An output in a dtype that codecs know: arrays of objects for what is no single array, None (JSON's null) for nothing."""
    if kind.kind == "optional" and kind.element is not None and value is not None:
        return _plain(value, kind.element)
    if isinstance(value, list) and kind.element is not None:
        items = [_plain(item, kind.element) for item in value]
        if items and len({(item.shape, item.dtype) for item in items}) == 1 and items[0].dtype != object:
            return np.stack(items)
        return objects([item.item() if item.dtype == object and not item.ndim else item for item in items])
    if value is None or isinstance(value, dict):
        return single(value)
    array = np.asarray(value)
    if array.dtype == object:
        return array if kind.kind == "map" or kind.element is not None else array.astype(str)
    return array if array.dtype.kind == "c" else array.astype(served_dtype(array.dtype.name), copy=False)
