"""The tape: the MXNet nodes that converters emit, in order, each different one once.

Primitives call `emit`; a node whose output has no elements is not emitted at all (there is only one such array). The tape
that is being written is `current()`; one thread of a process lowers, as one touches MXNet. `program` subclasses it to run what is pending
when a converter must know a number (`known`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from onnx_import.dtypes import CARRIERS, Array
from onnx_import.errors import Unsupported
from onnx_import.nd.halves import widened
from onnx_import.nd.value import MOST_ELEMENTS, TapeNode, Value, fitting

Shape = tuple[int, ...]

_UNREADABLE = dict.fromkeys(range(32), "_")
"""Characters that JSON escapes in a way that MXNet does not know."""


class Tape:
    """Nodes in the order in which they were emitted, and the pending values that somebody still holds."""

    def __init__(self) -> None:
        self.nodes: list[TapeNode] = []
        self.label = ""  # the ONNX node being lowered: MXNet nodes are named after it
        self.operator = ""  # and its operator
        self.scope: Any = None
        self._same: dict[Any, TapeNode] = {}
        self._constants: dict[int, TapeNode] = {}
        self._names: dict[str, int] = {}
        self._held: list[weakref.ref[Value]] = []

    def add(self, node: TapeNode) -> list[Value]:
        """Put a node on the tape and give the values of its outputs."""
        node.number = len(self.nodes)
        self.nodes.append(node)
        values = [Value(dtype, shape or (), None, node, index) for index, (shape, dtype) in enumerate(node.outputs)]
        self._held.extend(weakref.ref(value) for value in values)
        return values

    def reference(self, value: Value) -> tuple[TapeNode, int]:
        """The tape's node for a value; a known one becomes a constant."""
        if value.node is not None:
            return value.node, value.index
        assert value.data is not None
        key = id(value.data)
        node = self._constants.get(key)
        if node is None:
            name = self.unique(value.name or f"{self.label}_const")
            node = TapeNode("const", "null", name, array=value.data, outputs=[(value.shape, value.dtype)])
            node.number = len(self.nodes)
            self.nodes.append(node)
            self._constants[key] = node  # the node keeps the array, so that its id stays its own
        return node, 0

    def emit(self, op: str, inputs: Sequence[Value], attrs: dict[str, str], outputs: list[tuple[Shape, str]]) -> list[Value]:
        """The outputs of an MXNet node: of one that is on the tape already where there is the same."""
        if all(0 in shape for shape, _ in outputs):
            return [Value(dtype, shape, np.zeros(shape, CARRIERS[dtype])) for shape, dtype in outputs]
        for shape, _ in outputs:
            fitting(shape, MOST_ELEMENTS)
        wide = widened(op, list(inputs), attrs, outputs, self.emit)
        if wide is not None:
            return wide
        references = [self.reference(value) for value in inputs]
        key = (op, tuple((id(node), index) for node, index in references), tuple(attrs.items()), tuple(outputs))
        node = self._same.get(key)
        if node is None:
            node = TapeNode("op", op, self.unique(self.label or op), references, attrs, list(outputs))
            self._same[key] = node
            return self.add(node)
        values = [Value(dtype, shape, None, node, index) for index, (shape, dtype) in enumerate(outputs)]
        self._held.extend(weakref.ref(value) for value in values)
        return values

    def renamed(self, value: Value, dtype: str) -> Value:
        """A pending value's numbers under another dtype of the same carrier, by no node."""
        other = Value(dtype, value.shape, None, value.node, value.index)
        self._held.append(weakref.ref(other))
        return other

    def unique(self, name: str) -> str:
        """A name that no other node of this tape has, and that MXNet's JSON reader can read."""
        name = name if name.isprintable() else name.translate(_UNREADABLE)
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return self.unique(f"{name}_{count}") if count else name

    def held(self) -> list[Value]:
        """The pending values that are still referred to, in the order in which they were made."""
        values = [value for value in (reference() for reference in self._held) if value is not None and value.node is not None]
        self._held = [weakref.ref(value) for value in values]
        return values

    def known(self, value: Value) -> Array:
        """The array of a value; `program` overrides this for pending ones."""
        if value.data is None:
            raise Unsupported("needs a value that is known only when the model runs")
        return value.data

    def is_cheap(self, value: Value) -> bool:
        """Whether `known` of a value runs nothing."""
        return value.data is not None

    def call(self, function: Callable[..., Any], inputs: Sequence[Any], outputs: list[tuple[Shape | None, str]]) -> list[Any]:
        """The outputs of a host function; `program` overrides this."""
        raise Unsupported("needs the host library")


_CURRENT: list[Tape] = [Tape()]


def current() -> Tape:
    """The tape that is being written."""
    return _CURRENT[-1]


@contextmanager
def writing(tape: Tape) -> Iterator[Tape]:
    """Within it, `tape` is the current one."""
    _CURRENT.append(tape)
    try:
        yield tape
    finally:
        _CURRENT.pop()


def emit(op: str, inputs: Sequence[Value], shape: Sequence[int], dtype: str, /, **attrs: Any) -> Value:
    """The one output, of that shape and dtype, of an MXNet node; `attrs` are written as MXNet's parameters are spelt."""
    return emit_many(op, inputs, attrs, [(tuple(int(d) for d in shape), dtype)])[0]


def emit_many(op: str, inputs: Sequence[Value], attrs: dict[str, Any], outputs: list[tuple[Shape, str]]) -> list[Value]:
    """All outputs of an MXNet node."""
    return current().emit(op, inputs, {name: spell(value) for name, value in attrs.items()}, outputs)


def spell(value: Any) -> str:
    """An attribute in MXNet's spelling: `(1, 2)`, `True`, `0.5`, `None`."""
    if isinstance(value, (tuple, list)):
        inside = ", ".join(spell(item) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, np.integer):
        return str(int(value))
    return str(value)


def known(value: Value) -> Array:
    """The array of a value, in its carrier dtype.

    Of a pending value it makes the trace depend on the number: only for what determines shapes, axes, counts, scales or control
    flow.
    """
    return current().known(value)


def ints(value: Value) -> list[int]:
    """The whole numbers of a value, flat (`known`)."""
    return [int(item) for item in known(value).ravel()]


def scalar(value: Value) -> Any:
    """The one element of a value as a Python number (`known`)."""
    return known(value).reshape(-1)[0].item()


def host(
    function: Callable[..., Any], inputs: Sequence[Any], outputs: list[tuple[Shape | None, str]], **attributes: Any
) -> list[Any]:
    """The outputs of a numpy function, for one operator that no MXNet graph expresses.

    `inputs` are Values, None, or lists of Values; `function(*arrays, **attributes)` gets their arrays in carrier dtypes (text
    as object arrays) and returns a tuple of arrays, one for each of `outputs`: pairs of shape and dtype, in carrier dtypes too.
    A shape of None says that only the run can tell: the function then runs while the graph is traced, and the trace is
    remembered for such shapes; it may then tell the dtype too (`Told`). The function must be deterministic where it can be, and must not change its inputs.
    """
    return current().call(Bound(function, attributes), inputs, outputs)


class Bound:
    """A function with its attributes bound, still known by its own name."""

    def __init__(self, function: Callable[..., Any], attributes: dict[str, Any]) -> None:
        self.function, self.attributes, self.__name__ = function, attributes, function.__name__

    def __call__(self, *arrays: Any) -> Any:
        """The function's outputs."""
        return self.function(*arrays, **self.attributes)
