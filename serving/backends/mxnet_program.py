"""A converted graph as a loaded model: every request has a pass of its own, lowered for its shapes when they are first seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from onnx_import.errors import InvalidInput, OnnxImportError
from onnx_import.graph import Graph, Type
from serving.backends.mxnet_signature import ExactSignature, objects, port, served_dtype, single
from serving.errors import ModelError
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.signature import Tensor


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
