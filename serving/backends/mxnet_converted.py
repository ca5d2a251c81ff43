"""Models that `ei convert` wrote: MXNet artifacts that answer under the names, dtypes and shapes of an ONNX file.

    conversion.json -> rows of known sizes, one symbol for any number of them -> SymbolModel, stacked like any other
                    -> the same, and weights that a request may override      -> both: OverridableModel
                    -> anything else                                          -> ProgramModel: the graph, lowered for each shape

A program takes what a symbol cannot: inputs without a row axis, open sizes, text, sequences, operators outside MXNet.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np

from onnx_import.graph import Type
from serving.backends.mxnet import SymbolModel, first_line, load_arrays, numpy_shapes, split_params
from serving.backends.mxnet_import import import_mxnet
from serving.backends.mxnet_program import ProgramModel, row_name
from serving.backends.mxnet_signature import ExactSignature, Port, RowSignature, port, served_dtype
from serving.errors import ModelError
from serving.invocation import Inputs, Outputs
from serving.models.layout import REPORT, Layout, is_converted
from serving.models.signature import Signature, Tensor

log = logging.getLogger("ei.models")
PLAIN = {"float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"}


def is_program(layout: Layout) -> bool:
    """Whether it holds one that no single symbol stands for; ModelError where its report cannot be read."""
    return is_converted(layout) and not is_of_rows(_report(layout))


def load(layout: Layout) -> Any:
    """The loaded model of a converted artifact; ModelError where its files do not belong together."""
    report = _report(layout)
    kind = "a symbol for any number of rows" if is_of_rows(report) else "a graph, lowered for each shape that comes"
    log.info("converted from %s: %s", report.get("source", {}).get("file", "ONNX"), kind)
    if not is_of_rows(report):
        return ProgramModel(layout.directory, report)
    return OverridableModel(layout, report) if _overridable(report) else _symbol_model(layout, report, None)


def described(layout: Layout) -> Signature:
    """The signature by the report alone: what a request is checked against where the model runs elsewhere."""
    report = _report(layout)
    samples = report.get("sample", {})
    outputs = tuple(Tensor(entry["name"], None, served_dtype(entry["dtype"])) for entry in report["outputs"])
    if is_of_rows(report):
        inputs = tuple(_rows(entry) for entry in report["inputs"] if entry not in _overridable(report))
        return RowSignature(inputs, outputs, samples)
    fed = [entry for entry in report["inputs"] if not entry.get("optional")]
    takes_one_row = bool(fed) and all(entry["shape"] and entry["shape"][0] == 1 for entry in (*fed, *report["outputs"]))
    ports = []
    for entry in report["inputs"]:
        if entry["kind"] == "tensor":
            opened = takes_one_row and entry in fed
            ports.append(_port({**entry, "shape": [None, *entry["shape"][1:]] if opened else entry["shape"]}))
        elif entry in fed:
            raise ModelError(f"input {entry['name']!r} is a {entry['kind']}, which is not sent to an accelerator")
    return ExactSignature(tuple(ports), outputs, samples, takes_one_row)


def _report(layout: Layout) -> dict[str, Any]:
    try:
        report = json.loads((layout.directory / REPORT).read_bytes())
        is_of_rows(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{layout.directory / REPORT} cannot be used: {error!r}; convert the model again") from None
    assert isinstance(report, dict)
    return report


def needs_graph(report: dict[str, Any]) -> bool:
    """Whether some request cannot be answered by the symbol alone."""
    return not is_of_rows(report) or bool(_overridable(report))


def is_of_rows(report: dict[str, Any]) -> bool:
    """Whether one symbol serves any number of rows, and every input and output is plain rows of known sizes.

    Inputs that have a value of their own do not count: it is in the symbol.
    """
    if report["covers"] not in ("rows", "any") or report["custom_operators"] or None in report["heads"]:
        return False
    inputs = [entry for entry in report["inputs"] if entry not in _overridable(report)]
    if not inputs or not all(_is_plain(entry) for entry in [*inputs, *report["outputs"]]):
        return False
    rows = {row_name(entry["shape"][0]) for entry in inputs}
    return len(rows) == 1 and None not in rows and all(isinstance(size, int) for entry in inputs for size in entry["shape"][1:])


def _overridable(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in report["inputs"] if entry.get("optional") and entry["kind"] == "tensor"]


def _is_plain(entry: dict[str, Any]) -> bool:
    return entry["kind"] == "tensor" and entry["dtype"] in PLAIN and bool(entry["shape"])


def _symbol_model(layout: Layout, report: dict[str, Any], exact: ExactSignature | None) -> SymbolModel:
    mx = import_mxnet()
    assert layout.params is not None
    try:
        with numpy_shapes():
            symbol = mx.sym.load(str(layout.symbol))
        args, aux = split_params(load_arrays(layout.params))
    except mx.MXNetError as error:
        raise ModelError(f"MXNet cannot read the model in {layout.directory}: {first_line(error)}") from None
    outputs = tuple(Tensor(entry["name"], None, np.dtype(entry["dtype"])) for entry in report["outputs"])
    inputs = tuple(_rows(entry) for entry in report["inputs"] if entry not in _overridable(report))
    signature = RowSignature(inputs, outputs, report.get("sample", {}), exact)
    return SymbolModel(symbol, args, aux, signature, heads=tuple(report["heads"]))


def _rows(entry: dict[str, Any]) -> Tensor:
    return Tensor(entry["name"], (None, *entry["shape"][1:]), np.dtype(entry["dtype"]))


def _port(entry: dict[str, Any]) -> Port:
    shape = None if entry["shape"] is None else tuple(entry["shape"])
    return port(entry["name"], Type("tensor", entry["dtype"], shape), bool(entry.get("optional")))


class OverridableModel:
    """A symbol for the requests that leave the weights as they are, and the graph for those that send some of their own."""

    def __init__(self, layout: Layout, report: dict[str, Any]) -> None:
        self._directory, self._report = layout.directory, report
        self._program: ProgramModel | None = None
        ports = tuple(_port(entry) for entry in report["inputs"])
        self._symbol = _symbol_model(layout, report, ExactSignature(ports, (), report.get("sample", {})))
        self._names = {tensor.name for tensor in self._symbol.signature.inputs}
        self.signature = self._symbol.signature
        self.stackable, self.max_batch = self._symbol.stackable, self._symbol.max_batch
        self.parameter_bytes = self._symbol.parameter_bytes

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass, by the symbol where nothing is overridden."""
        if inputs.keys() == self._names:
            return self._symbol.forward(inputs)
        if self._program is None:
            self._program = ProgramModel(self._directory, self._report)
        return self._program.forward(inputs)

    def stacks(self, inputs: Inputs) -> bool:
        """Whether rows like these may share a pass with other requests'."""
        return inputs.keys() == self._names and self._symbol.stacks(inputs)

    def close(self) -> None:
        """Drop both."""
        self._symbol.close()
        self._program = None
