"""What the converters write with: `Use` is one node of a symbol that is being exported, `Builder` the ONNX graph so far.

    @mx("Convolution")
    def convolution(use: Use) -> str | list[str]: ...

A converter gives the names of its outputs. Names of values are made here and unique.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import helper

from onnx_import.dtypes import Array
from onnx_import.errors import OnnxImportError
from onnx_import.exporting.source import Entry, Node, Source

Converter = Callable[["Use"], "str | list[str]"]
Given = TypeVar("Given", bound=Converter)

_CONVERTERS: dict[str, Converter] = {}
_FAMILIES = ("elementwise", "indexing", "layers", "products", "recurrent", "reductions", "shaping")


class Refused(OnnxImportError):
    """What no converter writes for one node, as a reason for the user."""


def mx(*names: str) -> Callable[[Given], Given]:
    """Register the decorated function as the converter of MXNet operators."""

    def register(function: Given) -> Given:
        for name in names:
            if name in _CONVERTERS:
                raise ValueError(f"{name} has two converters: {_CONVERTERS[name]} and {function}")
            _CONVERTERS[name] = function
        return function

    return register


def find(op: str) -> Converter | None:
    """Our converter of an MXNet operator."""
    for family in _FAMILIES:
        importlib.import_module(f"onnx_import.exporting.{family}")
    return _CONVERTERS.get(op)


@dataclass
class Builder:
    """An ONNX graph that grows in its place: protobuf copies what is put together later."""

    opset: int
    graph: onnx.GraphProto
    names: set[str] = field(default_factory=set)
    _small: dict[Any, str] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A name that nothing else has."""
        found, count = wanted, 0
        while found in self.names:
            count += 1
            found = f"{wanted}_{count}"
        self.names.add(found)
        return found

    def node(self, op: str, inputs: Sequence[str], name: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """Append a node; attributes that are None are left out."""
        results = [self.name(name if outputs == 1 else f"{name}{at}") for at in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.graph.node.append(helper.make_node(op, list(inputs), results, name=results[0], **given))
        return results

    def constant(self, array: Array, name: str) -> str:
        """An initializer; small equal ones are written once."""
        # 0-dimensional arrays become 1-dimensional in ascontiguousarray.
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else None
        if key is not None and key in self._small:
            return self._small[key]
        found = self.name(name)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.graph.initializer.add(name=found, data_type=kind, dims=array.shape, raw_data=array.tobytes())
        if key is not None:
            self._small[key] = found
        return found

    def finish(self) -> None:
        """Drop nodes and initializers that nothing reads."""
        read = {info.name for info in self.graph.output}
        for at in reversed(range(len(self.graph.node))):
            if read.isdisjoint(self.graph.node[at].output):
                del self.graph.node[at]
            else:
                read.update(self.graph.node[at].input)
        for at in reversed(range(len(self.graph.initializer))):
            if self.graph.initializer[at].name not in read:
                del self.graph.initializer[at]


@dataclass
class Use:
    """One node of the symbol, with the ONNX names of its inputs."""

    build: Builder
    source: Source
    at: int
    inputs: list[str]

    @property
    def node(self) -> Node:
        """The MXNet node."""
        return self.source.nodes[self.at]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its inputs, for the sizes at hand."""
        return [self.source.shapes[entry] for entry in self.node.inputs]

    @property
    def dtypes(self) -> list[str]:
        """The dtypes of its inputs."""
        return [self.source.dtypes[entry] for entry in self.node.inputs]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its first output."""
        return self.source.shapes[self.at, 0]

    @property
    def dtype(self) -> str:
        """The dtype of its first output."""
        return self.source.dtypes[self.at, 0]

    @property
    def outputs(self) -> int:
        """How many outputs MXNet shows."""
        return sum(entry[0] == self.at for entry in self.source.shapes)

    def is_used(self, output: int) -> bool:
        """Whether anything reads an output."""
        entry: Entry = (self.at, output)
        return entry in self.source.heads or any(entry in node.inputs for node in self.source.nodes)

    def known(self, at: int) -> Array | None:
        """The values of an input that no fed input changes."""
        return self.source.array(self.node.inputs[at]) if at < len(self.node.inputs) else None

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute as a Python value."""
        return self.node.value(name, default)

    def ints(self, name: str, default: Sequence[int] = ()) -> list[int]:
        """An attribute that lists whole numbers."""
        return self.node.ints(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value: MXNet writes True, true or 1."""
        return bool(self.get(name, default))

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append an ONNX node of one output."""
        return self.build.node(op, inputs, self.node.name, **attributes)[0]

    def emit_many(self, op: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Append an ONNX node of several outputs."""
        return self.build.node(op, inputs, self.node.name, outputs, **attributes)

    def const(self, value: Any, dtype: str = "int64") -> str:
        """A constant of its own."""
        return self.build.constant(np.asarray(value, dtype), f"{self.node.name}_const")

    def cast(self, value: str, given: str, wanted: str) -> str:
        """A value in another dtype, where it is another."""
        if given == wanted:
            return value
        return self.emit("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(wanted)))

    def index(self, at: int) -> str:
        """An input as int64, which is what ONNX indexes with."""
        return self.cast(self.inputs[at], self.dtypes[at], "int64")
