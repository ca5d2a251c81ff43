"""A tape that can run what is on it: how a graph is lowered while its feeds are at hand.

`known` of a pending value has two ways. Where it comes from small inputs alone those are made static: the trace restarts with
their numbers known. Otherwise everything pending that is still held runs now, as one block, its results become slots, and
the trace goes on in a new block that is entered only with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx_import.dtypes import Array
from onnx_import.nd.tape import Shape, Tape
from onnx_import.nd.value import TapeNode, Told, Value
from onnx_import.stages import Block, Parameters, Slot, plan

STATIC_SIZE = 8
"""Elements of the largest input that becomes static: a shape, axes, a count, a flag."""


class Restart(Exception):  # noqa: N818 - a signal, not an error
    """The trace must start again with these inputs static."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


class Trace(Tape):
    """The blocks of one run of a graph, recorded while it happens."""

    def __init__(self, parameters: Parameters, static: set[str]) -> None:
        super().__init__()
        self.blocks: dict[tuple[Any, ...], Block] = {}
        self.slots: list[Any] = []
        self._parameters, self._static = parameters, static
        self._at: tuple[Any, ...] = ()

    def feed(self, name: str, value: Any, may_be_static: bool = True) -> Any:
        """A graph input as the walk takes it; `value` as `Program.call` takes it."""
        if value is None:
            return None
        if isinstance(value, list):
            return [self.feed(f"{name}_{index}", item, False) for index, item in enumerate(value)]
        array, dtype = value
        slot = len(self.slots)
        self.slots.append(array)
        if name in self._static:
            return Value(dtype, array.shape, array.copy())  # the caller may write into its own
        node = TapeNode("feed", "null", self.unique(name), attrs={"input": name}, slot=slot, outputs=[(array.shape, dtype)])
        node.array = array if may_be_static else None
        return self.add(node)[0]

    def known(self, value: Value) -> Array:
        """The array of a value; see above for what that costs a pending one."""
        if value.data is not None:
            return value.data
        assert value.node is not None
        names = _small_inputs(value.node)
        if names:
            raise Restart(names)
        if value.node.kind != "feed":
            self._run(self._held_back(), None)
        assert value.node.kind == "feed"
        array: Array = self.slots[value.node.slot].copy()
        self._end_block([value.node.slot], (array.tobytes() if array.dtype != object else tuple(array.ravel()),))
        value.data, value.node = array, None
        return array

    def is_cheap(self, value: Value) -> bool:
        """Whether `known` of a value runs nothing: it is known, an input, or made of small inputs alone."""
        return value.node is None or value.node.kind == "feed" or bool(_small_inputs(value.node))

    def call(self, function: Callable[..., Any], inputs: Sequence[Any], outputs: list[tuple[Shape | None, str]]) -> list[Any]:
        """The outputs of a host function: pending where their shapes are told, else computed now."""
        if all(_is_known(value) for value in inputs):
            results = function(*[_data(value) for value in inputs])
            return [_constants(result, dtype) for result, (_, dtype) in zip(results, outputs, strict=True)]
        arguments = [self._argument(value) for value in inputs]
        name = self.unique(self.label or function.__name__)
        node = TapeNode("host", self.operator, name, outputs=list(outputs), call=(function, arguments))
        node.inputs = _references(arguments)
        values = self.add(node)
        if all(shape is not None for shape, _ in outputs):
            return list(values)
        opened = self._run(self._held_back(node), node)
        return [self._open(result, dtype) for result, (_, dtype) in zip(opened, outputs, strict=True)]

    def finish(self, outputs: list[Any]) -> tuple[list[Any], list[Any]]:
        """Run what the outputs need, close the last block, and give the outputs and their dtypes."""
        self._run(_pending(outputs), None)
        return self._close(outputs).results(self.slots)

    def finish_unrun(self, outputs: list[Any]) -> list[Block]:
        """All blocks, the last one planned but not run."""
        self._plan(_pending(outputs), None)
        self._close(outputs)
        return list(self.blocks.values())

    def _close(self, outputs: list[Any]) -> Block:
        block = self._block()
        block.outputs = [_template(value) for value in outputs]
        return block

    def _argument(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._argument(item) for item in value]
        return None if value is None else value.data if value.data is not None else self.reference(value)

    def _block(self) -> Block:
        if self._at not in self.blocks:
            self.blocks[self._at] = Block([], [])
        return self.blocks[self._at]

    def _run(self, targets: list[Value], closing: TapeNode | None) -> list[Any]:
        """Run what the targets need, which become slots; and last `closing`, a host node of open shape, giving its results."""
        stages = self._plan(targets, closing)
        for stage in stages:
            stage.run(self.slots)
        if closing is None:
            return []
        last = stages[-1]
        self._end_block([], (last.seen,))
        return list(last.opened)

    def _plan(self, targets: list[Value], closing: TapeNode | None) -> list[Any]:
        """Add the stages that compute the targets to the block; the targets are slots from then on."""
        block = self._block()
        pairs = [(value.node, value.index) for value in targets if value.node is not None]
        stages, places = plan(pairs, closing, self._parameters, len(self.slots))
        block.stages.extend(stages)
        for value in targets:
            value.node = self._slot_node(places[id(value.node), value.index], value.shape, value.dtype)
            value.index = 0
        self.nodes.clear()
        self._same.clear()
        self._constants.clear()
        return stages

    def _held_back(self, closing: TapeNode | None = None) -> list[Value]:
        """Pending values that somebody still needs."""
        return [v for v in self.held() if v.node is not None and v.node.kind != "feed" and v.node is not closing]

    def _slot_node(self, slot: int, shape: Shape, dtype: str) -> TapeNode:
        return TapeNode("feed", "null", self.unique(f"slot{slot}"), slot=slot, outputs=[(shape, dtype)])

    def _end_block(self, guard: list[int], seen: tuple[Any, ...]) -> None:
        block = self._block()
        block.guard = guard
        self._at = (*self._at, seen)

    def _open(self, result: Any, dtype: str) -> Any:
        """What a host function of open shape gave, as values of the slots that its stage has filled."""
        if result is None:
            return None
        if isinstance(result, list):
            return [self._open(item, dtype) for item in result]
        slot, shape, told = result
        dtype = told or dtype
        return Value(dtype, shape, None, self._slot_node(slot, shape, dtype), 0)


def _small_inputs(node: TapeNode) -> set[str]:
    """The graph inputs that a value comes from, if it comes from nothing else and all are small; else none."""
    names, stack, seen = set(), [node], set()
    while stack:
        node = stack.pop()
        if id(node) in seen or node.kind == "const":
            continue
        seen.add(id(node))
        stack.extend(source for source, _ in node.inputs)
        if node.kind == "op":
            continue
        if node.kind == "host" or node.array is None or node.array.ndim > 1 or node.array.size > STATIC_SIZE:
            return set()
        names.add(node.attrs["input"])
    return names


def _pending(values: list[Any]) -> list[Value]:
    """The pending values among outputs, each once."""
    found: dict[int, Value] = {}
    stack = list(values)
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif value is not None and value.node is not None and value.node.kind != "feed":
            found[id(value)] = value
    return list(found.values())


def _references(arguments: list[Any]) -> list[tuple[TapeNode, int]]:
    found: list[tuple[TapeNode, int]] = []
    for value in arguments:
        if isinstance(value, list):
            found += _references(value)
        elif isinstance(value, tuple):
            found.append(value)
    return found


def _template(value: Any) -> Any:
    """How an output is found among the slots of a later run."""
    if isinstance(value, list):
        return [_template(item) for item in value]
    if value is None:
        return None
    return (value.data if value.node is None else Slot(value.node.slot)), value.dtype


def _is_known(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_known(item) for item in value)
    return value is None or value.data is not None


def _data(value: Any) -> Any:
    if isinstance(value, list):
        return [_data(item) for item in value]
    return None if value is None else value.data


def _constants(result: Any, dtype: Any) -> Any:
    """What a host function gave of known values."""
    if isinstance(result, Told):
        result, dtype = result.value, result.dtype
    if isinstance(result, list):
        kinds = dtype if isinstance(dtype, list) else [dtype] * len(result)
        return [_constants(item, kind) for item, kind in zip(result, kinds, strict=True)]
    return None if result is None else Value(dtype, tuple(result.shape), result)
