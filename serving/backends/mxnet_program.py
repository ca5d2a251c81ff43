"""A converted graph as a loaded model: lowered for the shapes of a request when they are first seen.

    inputs -> rows of equal shape, each by itself? -> one padded pass for many of them
           -> anything else                        -> a pass as they are

Rows may share a pass where every input counts them, nothing in the graph depends on values, and two rows together answer
what each answers alone. A graph that takes exactly one row passes several one by one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from onnx_import.errors import OnnxImportError
from onnx_import.graph import Graph, Type
from serving.backends.mxnet_signature import ExactSignature, objects, port, served_dtype, single
from serving.backends.rounding import agree
from serving.errors import ModelError
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.signature import Tensor

MAX_ROWS = 16
"""Rows of the largest pass: beyond them a pass gains little, and every size that is padded to is lowered anew."""
MAX_BATCH_BYTES = 4 << 20
MAX_SHAPES = 64


class ProgramModel:
    """A graph whose traces are kept. Scripts get it in place of a Module."""

    takes_samples = False

    def __init__(self, directory: Path, report: dict[str, Any]) -> None:
        from onnx_import import artifact

        try:
            self._program = artifact.load(directory)
        except OnnxImportError as error:
            raise ModelError(f"{_line(error)}; convert the model again") from None
        graph = self._program.graph
        self._absent = {info.name: None for info in graph.feeds if info.type.kind == "optional"}
        self._rows = tuple(info.name for info in graph.feeds)
        self._outputs = [(info.name, info.type) for info in graph.outputs]
        self._takes_one_row = _takes_one_row(graph)
        self._independent: dict[tuple[Any, ...], bool] = {}
        self.stackable = not self._takes_one_row and _counts_rows(graph)
        self.max_batch = MAX_ROWS if self.stackable else 1
        self.signature = _signature(graph, report.get("sample", {}), self._takes_one_row, self.stackable)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the graph's constants."""
        return sum(tensor.data.nbytes for tensor in self._program.graph.initializers.values())

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass, or as many as memory asks for; ModelError, the request's fault, where the graph does not take these inputs."""
        rows = len(next(iter(inputs.values()))) if self.stackable or self._takes_one_row else 1
        if rows == 1:
            return self._pass(inputs)
        if self._takes_one_row:
            return self._in_parts(inputs, rows, 1)
        if not self.stacks(inputs):
            return self._pass(inputs)
        most = max(1, min(MAX_ROWS, MAX_BATCH_BYTES * rows // max(1, sum(array.nbytes for array in inputs.values()))))
        return self._in_parts(inputs, rows, 1 << (most.bit_length() - 1))

    def stacks(self, inputs: Inputs) -> bool:
        """Whether rows like these may share a pass with other requests'.

        Asked for the first time, of each row shape, it runs three small passes: two rows together, and each alone.
        """
        if not self.stackable or set(inputs) != set(self._rows):
            return False
        key = tuple(array.shape[1:] for array in inputs.values())
        if key not in self._independent:
            if len(self._independent) >= MAX_SHAPES:
                self._independent.clear()
            self._independent[key] = self._are_independent(inputs)
        return self._independent[key]

    def __call__(self, inputs: Any) -> Outputs:
        """The outputs by name, of inputs by name or of the only one, checked and cast as a request's are."""
        given = inputs if isinstance(inputs, dict) else {UNNAMED: inputs}
        return self.forward(self.signature.validate({name: np.asarray(value) for name, value in given.items()}))

    def __getattr__(self, name: str) -> Any:
        """Nothing else: a script that takes it for a Module is told so."""
        raise AttributeError(f"a converted model that is no single MXNet symbol has no {name}: call it with {{name: array}}")

    def close(self) -> None:
        """Drop the graph and its executors."""
        del self._program

    def _in_parts(self, inputs: Inputs, rows: int, most: int) -> Outputs:
        """The outputs of so many rows at a time, filled up to powers of two so that few sizes are lowered."""
        parts = []
        for at in range(0, rows, most):
            count = min(most, rows - at)
            places = np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1) + at
            outputs = self._pass({name: array[places] for name, array in inputs.items()})
            parts.append({name: array[:count] for name, array in outputs.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _pass(self, inputs: Inputs) -> Outputs:
        feeds = {name: array if array.dtype != object else _opened(array) for name, array in inputs.items()}
        try:
            # ONNX knows no warnings: a division by zero has its result.
            with np.errstate(all="ignore"):
                outputs = self._program.run({**self._absent, **feeds})
        except OnnxImportError as error:
            raise ModelError(_line(error)) from None
        return {name: _plain(value, kind) for (name, kind), value in zip(self._outputs, outputs, strict=True)}

    def _are_independent(self, inputs: Inputs) -> bool:
        draw = np.random.default_rng(0)
        two = {name: _two_like(array, draw) for name, array in inputs.items()}
        try:
            together = self._pass(two)
            if self._program.static or len(self._program.last) > 1:  # what values decide is decided for all rows
                return False
            alone = [self._pass({name: array[at : at + 1] for name, array in two.items()}) for at in (0, 1)]
        except (ModelError, RuntimeError):
            return False
        return all(
            array.ndim > 0 and len(array) == 2 and all(_agree(array[at : at + 1], alone[at][name]) for at in (0, 1))
            for name, array in together.items()
        )


def _two_like(array: Array, draw: np.random.Generator) -> Array:
    """Two rows of the same kind: the first of the array and another, small numbers that most graphs take."""
    if array.dtype == object:
        return np.concatenate([array[:1], np.frompyfunc(lambda text: text[::-1], 1, 1)(array[:1])])
    shape = (2, *array.shape[1:])
    whole = draw.integers(0, 2, shape)
    return (whole * draw.random(shape) if array.dtype.kind not in "biu" else whole).astype(array.dtype)


def _agree(one: Array, other: Array) -> bool:
    """Whether two outputs are equal but for what kernels of different batch sizes round differently."""
    if one.shape != other.shape or one.dtype.kind not in "fc":
        return one.shape == other.shape and bool(np.array_equal(one, other))
    return agree(one, other)


def _opened(array: Array) -> Any:
    """What an array of objects stands for: text, a sequence or a map."""
    if array.ndim == 0 and isinstance(array.item(), dict):
        return array.item()
    return list(array) if array.ndim and array.size and isinstance(array.flat[0], np.ndarray) else array


def _line(error: OnnxImportError) -> str:
    return "; ".join(str(error).splitlines())


def _takes_one_row(graph: Graph) -> bool:
    """Whether every input and output is declared as exactly one row, as exporters write that trace a single example."""
    kinds = [info.type for info in (*graph.feeds, *graph.outputs)]
    return bool(graph.feeds) and all(kind.kind == "tensor" and kind.shape and kind.shape[0] == 1 for kind in kinds)


def _counts_rows(graph: Graph) -> bool:
    """Whether the first axis of every input that must be fed is open, and the same one."""
    kinds = [info.type for info in graph.feeds]
    if not kinds or not all(kind.kind == "tensor" and kind.shape for kind in kinds):
        return False
    names = {row_name(kind.shape[0]) for kind in kinds if kind.shape}
    return len(names) == 1 and not any(kind.shape[0] == 1 for kind in kinds if kind.shape) and None not in names


def row_name(size: Any) -> str | None:
    """What a first axis counts: rows, by their name; None where it has a fixed length (of 1, rows were converted)."""
    if isinstance(size, int):
        return "" if size == 1 else None
    # tf2onnx numbers what has no name.
    return "" if size is None or re.fullmatch(r"unk__\d+", size) else str(size)


def _signature(graph: Graph, samples: dict[str, Any], takes_one_row: bool, counts_rows: bool) -> ExactSignature:
    ports = []
    for info in graph.inputs:
        kind, is_optional = info.type, info.name in graph.initializers
        if takes_one_row and kind.shape and not is_optional:
            kind = Type(kind.kind, kind.dtype, (None, *kind.shape[1:]))
        ports.append(port(info.name, kind, is_optional))
    outputs = tuple(Tensor(info.name, None, served_dtype(_innermost(info.type).dtype)) for info in graph.outputs)
    return ExactSignature(tuple(ports), outputs, samples, counts_rows or takes_one_row)


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
