"""What a block of a program does: MXNet symbols bound once, and calls of host functions, between numbered slots.

`plan` cuts the nodes that the wanted values need into stages: every MXNet node that needs no host call first, as one symbol;
then the host calls that are ready; then the nodes behind them; and so on.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_import.dtypes import CARRIERS, Array
from onnx_import.errors import InvalidInput, place
from onnx_import.fusion import fuse
from onnx_import.nd.value import TapeNode, Told
from serving.backends.mxnet import Executor, first_line, numpy_shapes
from serving.backends.mxnet_import import import_mxnet
from serving.models.params_file import DTYPES

Place = tuple[TapeNode, int]


class Parameters:
    """Constants as MXNet arrays, equal ones once: every symbol of a program is bound to the same memory."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Array, Any]] = {}
        self._by_digest: dict[tuple[Any, ...], tuple[Array, Any]] = {}

    def get(self, array: Array) -> tuple[Array, Any]:
        """The MXNet array of a constant, behind the array that it was made of: the first of those that are equal."""
        found = self._by_id.get(id(array))
        if found is not None:
            return found
        flat = np.ascontiguousarray(array)
        digest = (array.dtype, array.shape, hashlib.blake2b(flat.data, digest_size=16).digest())
        if digest not in self._by_digest:
            bound = import_mxnet().nd.array(flat.reshape(array.shape), dtype=array.dtype)
            self._by_digest[digest] = self._by_id[id(array)] = array, bound
        _release(array)
        return self._by_digest[digest]

    def keep(self, used: set[int]) -> None:
        """Forget all but the arrays of these ids."""
        self._by_id = {key: held for key, held in self._by_id.items() if key in used}
        self._by_digest = {key: held for key, held in self._by_digest.items() if id(held[0]) in self._by_id}


def _release(array: Array) -> None:
    """Let the kernel take back the pages of a mapped file that an array looks into: MXNet has a copy now."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


@dataclass
class SymbolStage:
    """One MXNet symbol: which slots it is fed from, and how many it fills."""

    text: str
    constants: dict[str, Array]
    feeds: list[tuple[str, int, tuple[int, ...], str]]
    outputs: list[tuple[tuple[int, ...], str]]
    places: range
    """The slots that it fills."""
    parameters: Parameters
    _executor: Executor | None = None

    @property
    def executor(self) -> Executor:
        """The symbol bound; bound when it is first asked for."""
        if self._executor is None:
            with numpy_shapes():
                self._executor = self._bind()
        return self._executor

    def _bind(self) -> Executor:
        """The symbol bound to its parameters and to memory for its feeds."""
        mx = import_mxnet()
        symbol = mx.sym.load_json(self.text)
        found = {name: self.parameters.get(array) for name, array in self.constants.items()}
        # What was folded anew for these sizes need not be kept beside what it is equal to.
        self.constants = {name: array for name, (array, _) in found.items()}
        arrays = {name: bound for name, (_, bound) in found.items()}
        states = set(symbol.list_auxiliary_states())
        inputs = {name: mx.nd.zeros(shape, dtype=CARRIERS[dtype]) for name, _, shape, dtype in self.feeds}
        arguments = {name: array for name, array in arrays.items() if name not in states}
        return Executor(symbol, arguments, {name: arrays[name] for name in states}, inputs)

    def run(self, slots: list[Any]) -> None:
        """Append the outputs to the slots."""
        try:
            executor = self.executor
            for name, slot, _, _ in self.feeds:
                executor.views[name][...] = slots[slot]
            results = executor.run()
        except (import_mxnet().MXNetError, RuntimeError) as error:
            raise refusal(error) from error
        # The next run of the same symbol writes into the same memory.
        copies = [result.copy() for result in results]
        self._check(copies)
        slots.extend(copies)

    def _check(self, results: list[Array]) -> None:
        for result, (shape, dtype) in zip(results, self.outputs, strict=True):
            if result.shape != shape or result.dtype != CARRIERS[dtype]:
                raise LoweringError(
                    f"MXNet gives {result.dtype}{list(result.shape)} where {CARRIERS[dtype]}{list(shape)} was lowered"
                )


class LoweringError(RuntimeError):
    """A converter emitted what MXNet does not take, or takes for something else: a defect of this package."""


def refusal(error: Exception) -> Exception:
    """What MXNet's refusal to run a graph means: it checks indices that are known only then, all else is a defect."""
    if "indices out of bound" in str(error):
        return InvalidInput("an index is beyond what it points into")
    return LoweringError(f"MXNet refuses a graph that was lowered for it: {first_line(error)}")


@dataclass
class HostStage:
    """One call of a host function. `is_open` says that its outputs' shapes are told by the run alone."""

    function: Callable[..., Any]
    arguments: list[Any]
    is_open: bool
    name: str
    operator: str
    """The ONNX operator that it stands for."""
    feeds: list[tuple[str, int, tuple[int, ...], str]] = field(default_factory=list)
    outputs: list[tuple[tuple[int, ...] | None, str]] = field(default_factory=list)
    places: range = range(0)
    """The slots that it fills, where that is known before it runs."""
    seen: Any = None
    opened: list[Any] = field(default_factory=list)

    def run(self, slots: list[Any]) -> Any:
        """Append the outputs to the slots; of open ones also give what a trace depends on: their structure and shapes."""
        try:
            results = self.function(*[_argument(value, slots) for value in self.arguments])
        except InvalidInput as error:
            place(error, self.operator, self.name)
            raise
        if not self.is_open:
            slots.extend(results)
            return None
        self.opened = [_place(result, slots) for result in results]
        self.seen = _structure(self.opened)
        return self.seen


@dataclass(frozen=True)
class Slot:
    """An argument that comes from a slot."""

    number: int


@dataclass
class Block:
    """Stages, and either the outputs or the guard whose numbers lead to the next block."""

    stages: list[SymbolStage | HostStage]
    guard: list[int]
    outputs: list[Any] | None = None

    @property
    def layout(self) -> list[Any]:
        """What it reads and fills which slots with: where a block has the layout of another, what follows can follow either."""
        return [
            (stage.text if isinstance(stage, SymbolStage) else stage.name, stage.feeds, stage.places) for stage in self.stages
        ] + [self.guard]

    def run(self, slots: list[Any]) -> tuple[Any, ...]:
        """Run the stages; what was seen at the end, which is the key of the next block."""
        seen = None
        for stage in self.stages:
            seen = stage.run(slots)
        if self.guard:
            array = slots[self.guard[0]]
            return (array.tobytes() if array.dtype != object else tuple(array.ravel()),)
        return (seen,)

    def results(self, slots: list[Any]) -> tuple[list[Any], list[Any]]:
        """The outputs and their dtypes."""
        assert self.outputs is not None
        pairs = [_result(template, slots) for template in self.outputs]
        return [value for value, _ in pairs], [dtype for _, dtype in pairs]


def plan(targets: list[Place], closing: TapeNode | None, parameters: Parameters, base: int) -> tuple[list[Any], dict[Any, int]]:
    """The stages that compute the targets, `closing` (a host node of open shape) last; and the slot of each target."""
    nodes = _needed([node for node, _ in targets] + ([closing] if closing else []))
    levels: dict[int, int] = {}
    for node in nodes:
        before = [levels[id(source)] + (node.kind != source.kind) for source, _ in node.inputs if id(source) in levels]
        levels[id(node)] = max([*before, 0 if node.kind == "op" else 1])
    wanted = {(id(node), index) for node, index in targets}
    for node in nodes:
        wanted.update((id(s), i) for s, i in node.inputs if id(s) in levels and levels[id(s)] != levels[id(node)])
        if node.kind == "host":
            wanted.update((id(s), i) for s, i in node.inputs if id(s) in levels)
    stages: list[Any] = []
    places: dict[Any, int] = {}
    for level in sorted(set(levels.values())):
        members = [node for node in nodes if levels[id(node)] == level and node is not closing]
        heads = [(node, index) for node in members for index in range(len(node.outputs))]
        is_symbol = bool(members) and members[0].kind == "op"
        if is_symbol:
            heads = [(node, index) for node, index in heads if (id(node), index) in wanted]
        places.update({(id(node), index): base + offset for offset, (node, index) in enumerate(heads)})
        if is_symbol:
            stages.append(_symbol_stage(members, heads, places, base, parameters))
        else:  # some of which may read what others of the same level gave
            stages += [_host_stage(node, places, False) for node in members]
        base += len(heads)
    if closing is not None:
        stages.append(_host_stage(closing, places, True))
    return stages, places


def _needed(targets: list[TapeNode]) -> list[TapeNode]:
    """Ops and host calls that the targets need, themselves included, in the order of the tape."""
    found: dict[int, TapeNode] = {}
    stack = [node for node in targets if node.kind in ("op", "host")]
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found[id(node)] = node
            stack.extend(source for source, _ in node.inputs if source.kind in ("op", "host"))
    return sorted(found.values(), key=lambda node: node.number)


def _symbol_stage(
    members: list[TapeNode], heads: list[Place], places: dict[Any, int], base: int, parameters: Parameters
) -> SymbolStage:
    """Nodes as one symbol, whose heads fill the slots from `base` on."""
    writer = _Writer(places)
    fused, ends = fuse(members, heads)
    for node in fused:
        writer.add(node)
    outputs = [(node.outputs[index][0] or (), node.outputs[index][1]) for node, index in heads]
    slots = range(base, base + len(heads))
    return SymbolStage(writer.text(ends), writer.constants, writer.feeds, outputs, slots, parameters)


class _Writer:
    """Nodes as MXNet's symbol JSON."""

    def __init__(self, places: dict[Any, int]) -> None:
        self.constants: dict[str, Array] = {}
        self.feeds: list[tuple[str, int, tuple[int, ...], str]] = []
        self._places = places
        self._nodes: list[dict[str, Any]] = []
        self._numbers: dict[Any, int] = {}

    def add(self, node: TapeNode) -> None:
        inputs = [[*self._source(source, index), 0] for source, index in node.inputs]
        self._numbers[id(node)] = len(self._nodes)
        self._nodes.append({"op": node.op, "name": node.name, "attrs": node.attrs, "inputs": inputs})

    def text(self, heads: list[Place]) -> str:
        variables = [number for number, node in enumerate(self._nodes) if node["op"] == "null"]
        ends = [[self._numbers[id(node)], index, 0] for node, index in heads]
        version = {"mxnet_version": ["int", 10901], "is_np_shape": ["int", 1]}
        # MXNet reads UTF-8, and no \u escapes.
        return json.dumps({"nodes": self._nodes, "arg_nodes": variables, "heads": ends, "attrs": version}, ensure_ascii=False)

    def _source(self, node: TapeNode, index: int) -> tuple[int, int]:
        if id(node) in self._numbers:
            return self._numbers[id(node)], index
        if node.kind in ("op", "host"):  # of an earlier stage
            shape, dtype = node.outputs[index]
            return self._variable((id(node), index), f"{node.name}_{index}", self._places[id(node), index], shape or (), dtype)
        shape, dtype = node.outputs[0]
        if node.kind == "const":
            assert node.array is not None
            self.constants[node.name] = node.array
            return self._variable(id(node), node.name, -1, shape or (), dtype)
        return self._variable(id(node), node.name, node.slot, shape or (), dtype)

    def _variable(self, key: Any, name: str, slot: int, shape: tuple[int, ...], dtype: str) -> tuple[int, int]:
        if key not in self._numbers:
            self._numbers[key] = len(self._nodes)
            variable: dict[str, Any] = {"op": "null", "name": name, "inputs": []}
            if slot >= 0:
                self.feeds.append((name, slot, shape, dtype))
            else:  # MXNet's Module knows the parameters of its own layers alone
                variable["attrs"] = {"__shape__": str(shape), "__dtype__": str(DTYPES.index(CARRIERS[dtype]))}
            self._nodes.append(variable)
        return self._numbers[key], 0


def _host_stage(node: TapeNode, places: dict[Any, int], is_open: bool) -> HostStage:
    function, arguments = node.call
    bound = [_bound(value, places) for value in arguments]
    feeds = [_feed(source, index, places) for source, index in node.inputs if source.kind != "const"]
    first = 0 if is_open else places[id(node), 0]
    slots = range(first, first + (0 if is_open else len(node.outputs)))
    return HostStage(function, bound, is_open, node.name, node.op, feeds, node.outputs, slots)


def _feed(node: TapeNode, index: int, places: dict[Any, int]) -> tuple[str, int, tuple[int, ...], str]:
    """What a host call reads of a feed or another node: name, slot, shape and dtype."""
    shape, dtype = node.outputs[index]
    slot = node.slot if node.kind == "feed" else places[id(node), index]
    return node.name, slot, shape or (), dtype


def _bound(value: Any, places: dict[Any, int]) -> Any:
    """A host call's argument: slots in place of nodes."""
    if isinstance(value, list):
        return [_bound(item, places) for item in value]
    if isinstance(value, tuple):
        node, index = value
        if node.kind == "const":
            return node.array
        return Slot(node.slot if node.kind == "feed" else places[id(node), index])
    return value


def _argument(value: Any, slots: list[Any]) -> Any:
    if isinstance(value, Slot):
        return slots[value.number]
    return [_argument(item, slots) for item in value] if isinstance(value, list) else value


def _place(result: Any, slots: list[Any], dtype: Any = "") -> Any:
    """Put what a host function gave into slots: its structure, with slot, shape and dtype (if told) in place of arrays."""
    if isinstance(result, Told):
        return _place(result.value, slots, result.dtype)
    if result is None:
        return None
    if isinstance(result, list):
        kinds = dtype if isinstance(dtype, list) else [dtype] * len(result)
        return [_place(item, slots, kind) for item, kind in zip(result, kinds, strict=True)]
    slots.append(result)
    return len(slots) - 1, tuple(result.shape), dtype


def _structure(opened: Any) -> Any:
    """What a trace depends on."""
    if isinstance(opened, list):
        return tuple(_structure(item) for item in opened)
    return None if opened is None else opened[1:]


def _result(template: Any, slots: list[Any]) -> tuple[Any, Any]:
    """An output and its dtype, of its template."""
    if isinstance(template, list):
        pairs = [_result(item, slots) for item in template]
        return [value for value, _ in pairs], [dtype for _, dtype in pairs]
    if template is None:
        return None, None
    source, dtype = template
    return (slots[source.number] if isinstance(source, Slot) else source.copy()), dtype
