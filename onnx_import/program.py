"""A graph that runs: traced for the inputs at hand, remembered, and run again.

    feeds -> key -> block -> stages -> (guard -> block)* -> outputs

A trace is a chain of blocks. A block's stages are MXNet symbols, bound once, and calls of host functions; together they fill
the program's slots. A block ends where the trace had to look at numbers: the next one is found by what they are. A graph
that needs no such look, and no host function, is one block of one symbol. Blocks are remembered, the oldest feeds' forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from onnx_import.dtypes import NATIVE, Array, carry, deliver, name_of
from onnx_import.errors import InvalidInput
from onnx_import.graph import Graph, Type, ValueInfo
from onnx_import.lower import lower
from onnx_import.nd import tape
from onnx_import.stages import Block, Parameters, Slot, SymbolStage, refusal
from onnx_import.trace import Restart, Trace

CAPACITY = 32
"""Feeds (their shapes, and the values of static ones) whose traces are remembered."""

MOST_BLOCKS = 128
"""Blocks that are remembered in all: what a graph looks at may be different in every run."""


class Program:
    """One graph, run by `run`. Not to be used by two threads: MXNet is not."""

    def __init__(self, graph: Graph, parameters: Parameters | None = None, capacity: int = CAPACITY) -> None:
        self.graph = graph
        self.parameters = parameters or Parameters()
        self.static: set[str] = set()
        self.last: list[Block] = []
        """The blocks of the run before, for reports."""
        self._blocks: OrderedDict[Any, dict[Any, Block]] = OrderedDict()
        self._straight: dict[Any, Straight] = {}
        self._capacity = capacity

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        """The outputs in order, of inputs by name: arrays, lists for sequences, dicts for maps, None for an empty optional.

        InvalidInput where a feed is absent, unknown, or of another dtype or rank than the model's input.
        """
        key = _straight_key(feeds)
        if key in self._straight:
            self._blocks.move_to_end(self._straight[key].root)
            return self._straight[key].run(feeds)
        taken = self._taken(feeds)
        outputs, dtypes = self.call(taken)
        if key is not None and not self.static and Straight.fits(self.last, list(feeds.values())):
            if len(self._straight) >= self._capacity:
                self._straight.clear()
            self._straight[key] = Straight(self.last[0], list(taken), self._root(taken))
        return [_delivered(value, dtype) for value, dtype in zip(outputs, dtypes, strict=True)]

    def call(self, feeds: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """Outputs and their dtypes, of feeds by name; all in carrier dtypes. A feed is a pair of array and dtype, or a list, or None."""
        root = self._root(feeds)
        chain = self._blocks.get(root)
        if chain is not None:
            self._blocks.move_to_end(root)
            found = self._replay(chain, feeds)
            if found is not None:
                return found
        return self._trace(feeds)

    def _taken(self, feeds: dict[str, Any]) -> dict[str, Any]:
        """Feeds as `call` takes them, checked against the graph's inputs."""
        taken = {
            info.name: _carried(info, feeds) for info in self.graph.inputs if info.name in feeds or self._is_required(info)
        }
        unknown = sorted(set(feeds) - set(taken))
        if unknown:
            raise InvalidInput(f"the model has no input {unknown[0]!r}; it has {[info.name for info in self.graph.inputs]}")
        return taken

    def _is_required(self, info: ValueInfo) -> bool:
        return info.name not in self.graph.initializers and info.type.kind != "optional"

    def _replay(self, chain: dict[Any, Block], feeds: dict[str, Any]) -> tuple[list[Any], list[Any]] | None:
        """Outputs by remembered blocks; None where these numbers lead to a block that is not there yet."""
        slots: list[Any] = []
        _flatten(list(feeds.values()), slots)
        at: tuple[Any, ...] = ()
        self.last = []
        while (block := chain.get(at)) is not None:
            self.last.append(block)
            seen = block.run(slots)
            if block.outputs is not None:
                return block.results(slots)
            at = (*at, seen)
        return None

    def blocks(self, feeds: dict[str, Any]) -> list[Block]:
        """The blocks of feeds as `run` takes them; the last one is not run, so that weights need not be bound for it."""
        trace, outputs = self._lowered(self._taken(feeds))
        with tape.writing(trace):
            return trace.finish_unrun(outputs)

    def _trace(self, feeds: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        trace, outputs = self._lowered(feeds)
        results = trace.finish(outputs)
        root = self._root(feeds)
        known = self._blocks.pop(root, {})
        if any(key in known and known[key].layout != block.layout for key, block in trace.blocks.items()):
            known = {}  # what follows them reads other slots
        fits = len(known) + len(trace.blocks) <= MOST_BLOCKS
        self._blocks[root] = {**known, **trace.blocks} if fits else trace.blocks
        self._forget(is_any_gone=not fits)
        self.last = list(trace.blocks.values())
        return results

    def _forget(self, is_any_gone: bool) -> None:
        """Drop the oldest traces beyond the limits, and the parameters that they alone were bound to."""
        while len(self._blocks) > 1 and (
            len(self._blocks) > self._capacity or sum(map(len, self._blocks.values())) > MOST_BLOCKS
        ):
            self._blocks.popitem(last=False)
            is_any_gone = True
        if is_any_gone:
            self._straight = {key: held for key, held in self._straight.items() if held.root in self._blocks}
            blocks = (block for chain in self._blocks.values() for block in chain.values())
            stages = (stage for block in blocks for stage in block.stages if isinstance(stage, SymbolStage))
            self.parameters.keep({id(array) for stage in stages for array in stage.constants.values()})

    def _lowered(self, feeds: dict[str, Any]) -> tuple[Trace, list[Any]]:
        """A trace of the graph, and the values of its outputs."""
        while True:
            trace = Trace(self.parameters, self.static)
            with tape.writing(trace):
                try:
                    given = {name: trace.feed(name, value) for name, value in feeds.items()}
                    return trace, lower(self.graph, given)
                except Restart as restart:
                    self.static |= restart.names

    def _root(self, feeds: dict[str, Any]) -> tuple[Any, ...]:
        return tuple((name, _key(value, name in self.static)) for name, value in feeds.items())


class Straight:
    """A trace of one symbol between plain tensors: nothing is left to decide, so that a run costs little beside its pass."""

    def __init__(self, block: Block, names: list[str], root: Any) -> None:
        self.root = root
        (stage,) = block.stages
        assert isinstance(stage, SymbolStage)
        self._executor = stage.executor
        self._views = [(names[slot], self._executor.views[name]) for name, slot, _, _ in stage.feeds]
        first = min((slot for slot in stage.places), default=0)
        self._heads = [template[0].number - first for template in block.outputs or []]

    @staticmethod
    def fits(blocks: list[Block], feeds: list[Any]) -> bool:
        """Whether a run's blocks are such a trace."""
        if len(blocks) != 1 or len(blocks[0].stages) != 1 or not isinstance(blocks[0].stages[0], SymbolStage):
            return False
        places = set(blocks[0].stages[0].places)
        are_native = all(feed.dtype.name in NATIVE for feed in feeds)
        return are_native and all(
            isinstance(template, tuple)
            and isinstance(template[0], Slot)
            and template[0].number in places
            and template[1] in NATIVE
            for template in blocks[0].outputs or []
        )

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        """One pass."""
        for name, view in self._views:
            view[...] = feeds[name]
        try:
            results = self._executor.run()
        except RuntimeError as error:
            raise refusal(error) from error
        return [results[head].copy() for head in self._heads]


def _straight_key(feeds: dict[str, Any]) -> tuple[Any, ...] | None:
    """What tells whether feeds are of a trace's names, shapes and dtypes; None where one is no array."""
    parts: list[Any] = []
    for name, value in feeds.items():
        if type(value) is not np.ndarray:
            return None
        parts += (name, value.shape, value.dtype.char)
    return tuple(parts)


def _carried(info: ValueInfo, feeds: dict[str, Any]) -> Any:
    if info.name not in feeds:
        raise InvalidInput(f"input {info.name!r} is missing")
    return _checked(info.name, info.type, feeds[info.name])


def _checked(name: str, kind: Type, value: Any) -> Any:
    """A feed as `call` takes it."""
    if value is None:
        if kind.kind != "optional":
            raise InvalidInput(f"input {name!r} is None, and is no optional")
        return None
    if kind.kind == "optional" and kind.element is not None:
        return _checked(name, kind.element, value)
    if kind.kind == "sequence":
        if not isinstance(value, (list, tuple)) or kind.element is None:
            raise InvalidInput(f"input {name!r} is a sequence; a list of arrays is needed")
        return [_checked(name, kind.element, item) for item in value]
    if kind.kind == "map" and kind.element is not None:
        return _mapped(name, kind.dtype, value), f"map:{kind.element.dtype}"
    array, dtype = _array(name, value)
    if dtype != kind.dtype:
        raise InvalidInput(f"input {name!r} is {dtype}; the model takes {kind.dtype}")
    if kind.shape is not None and len(kind.shape) != array.ndim:
        raise InvalidInput(f"input {name!r} has {array.ndim} axes; the model takes {len(kind.shape)}: {list(kind.shape)}")
    for axis, (size, wanted) in enumerate(zip(array.shape, kind.shape or (), strict=False)):
        if isinstance(wanted, int) and wanted != size:
            raise InvalidInput(f"input {name!r} is {size} long on axis {axis}; the model takes {wanted}")
    return array, dtype


def _array(name: str, value: Any) -> tuple[Array, str]:
    """A fed array in its carrier dtype, and its dtype."""
    if not isinstance(value, (np.ndarray, np.generic)):
        raise InvalidInput(f"input {name!r} is a {type(value).__name__}; an array is needed")
    array = np.asarray(value)
    if array.dtype.kind in "SO":
        texts = np.empty(array.shape, dtype=object)
        texts.reshape(-1)[:] = [_text(name, item) for item in array.ravel()]
        array = texts
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return carry(array), name_of(array)


def _text(name: str, item: Any) -> str:
    try:
        item = item.decode() if isinstance(item, bytes) else item
    except UnicodeDecodeError:
        raise InvalidInput(f"input {name!r} holds bytes that are no UTF-8") from None
    if not isinstance(item, str):
        raise InvalidInput(f"input {name!r} holds a {type(item).__name__}; text is needed")
    return item


def _mapped(name: str, key: str, value: Any) -> Array:
    """A map as host functions take it: a dict in an object array of no axis."""
    if not isinstance(value, dict) or not all(
        isinstance(item, str if key == "string" else (int, np.integer)) for item in value
    ):
        raise InvalidInput(f"input {name!r} is a map; a dict with keys of {key} is needed")
    carried = np.empty((), dtype=object)
    carried[()] = value
    return carried


def _key(value: Any, is_static: bool) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(_key(item, is_static) for item in value)
    array, dtype = value
    if not is_static:
        return dtype, array.shape
    return dtype, array.shape, array.tobytes() if array.dtype != object else tuple(array.ravel())


def _flatten(values: list[Any], slots: list[Any]) -> None:
    """Append the arrays of feeds to the slots, in the order in which `Trace.feed` numbers them."""
    for value in values:
        if isinstance(value, list):
            _flatten(value, slots)
        elif value is not None:
            slots.append(value[0])


def _delivered(value: Any, dtype: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_delivered(item, kind) for item, kind in zip(value, dtype, strict=True)]
    if dtype.startswith("map:"):  # a dict, or a list of them
        return value.tolist()
    return deliver(value, dtype)
