"""If, Loop and Scan. A branch is chosen, and a loop of known length unrolled, while the graph is traced.

A loop whose condition depends on data runs its body as a program of its own, one call an iteration: the body's traces are
remembered, so that an iteration costs a pass. What it captures from around it is handed in as further inputs, or is a constant
of the body where it is one of the trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.graph import Graph, Tensor, Type, ValueInfo
from onnx_import.lower import subgraph
from onnx_import.nd import Value
from onnx_import.nd.tape import current
from onnx_import.registry import op

UNROLLED = 64
"""Iterations of the longest loop that becomes part of the graph around it."""

MOST_TURNS = 2**20
"""Iterations of the longest loop that is run at all: one whose condition never fails must end in an error."""


@op("If", since=1)
def if_(condition: Value, *, then_branch: Graph, else_branch: Graph) -> tuple[Any, ...]:
    """The outputs of the branch that the condition chooses."""
    return tuple(subgraph(then_branch if nd.scalar(condition) else else_branch, []))


@op("Loop", since=1)
def loop(trips: Value | None, condition: Value | None = None, *states: Any, body: Graph) -> tuple[Any, ...]:
    """The carried states after the last iteration, and the scan outputs stacked along a new first axis."""
    count = None if trips is None else nd.scalar(trips) if _is_cheap(trips) else trips
    if isinstance(count, Value) or not _is_unrolled(count, condition, body):
        return _run_loop(trips, condition, list(states), body)
    carried = list(states)
    scanned: list[list[Value]] = [[] for _ in range(len(body.outputs) - 1 - len(states))]
    goes_on, index = condition is None or bool(nd.scalar(condition)), 0
    while goes_on and (count is None or index < count):
        if index == UNROLLED:  # and its condition does not look at what it computes
            return _run_loop(trips, condition, list(states), body)
        outputs = subgraph(body, [nd.constant(np.array(index, np.int64)), nd.constant(np.array(True)), *carried])
        carried, index = outputs[1 : 1 + len(states)], index + 1
        for rows, value in zip(scanned, outputs[1 + len(states) :], strict=True):
            rows.append(value)
        goes_on = bool(nd.scalar(outputs[0]))
    ends = body.outputs[1 + len(states) :]
    return (*carried, *[_stack(rows, info, 0) for rows, info in zip(scanned, ends, strict=True)])


@op("Scan", since=9)
def scan(
    *values: Value,
    body: Graph,
    num_scan_inputs: int,
    scan_input_axes: list[int] | None,
    scan_input_directions: list[int] | None,
    scan_output_axes: list[int] | None,
    scan_output_directions: list[int] | None,
) -> tuple[Any, ...]:
    """The states after the last slice of the scanned inputs, and the outputs of every step stacked along an axis."""
    cut = len(values) - num_scan_inputs
    states, scanned = list(values[:cut]), values[cut:]
    axes = [nd.normal_axis(a, v.rank) for a, v in zip(scan_input_axes or [0] * num_scan_inputs, scanned, strict=True)]
    turned = scan_input_directions or [0] * num_scan_inputs
    length = scanned[0].shape[axes[0]]
    rows: list[list[Value]] = [[] for _ in range(len(body.outputs) - cut)]
    for step in range(length):
        pieces = []
        for value, axis, back in zip(scanned, axes, turned, strict=True):
            at = length - 1 - step if back else step
            pieces.append(nd.squeeze(nd.slice_axis(value, axis, at, at + 1), [axis]))
        outputs = subgraph(body, [*states, *pieces])
        states = outputs[:cut]
        for collected, value in zip(rows, outputs[cut:], strict=True):
            collected.append(value)
    ends = body.outputs[cut:]
    out_axes, out_turned = scan_output_axes or [0] * len(rows), scan_output_directions or [0] * len(rows)
    stacked = [
        _stack(collected[::-1] if back else collected, info, axis)
        for collected, info, axis, back in zip(rows, ends, out_axes, out_turned, strict=True)
    ]
    return (*states, *stacked)


@op("Scan", since=8)
def scan_of_batches(
    lengths: Value | None, *values: Value, body: Graph, num_scan_inputs: int, directions: list[int] | None
) -> tuple[Any, ...]:
    """Scan along axis 1, for each row of the batch on axis 0 on its own."""
    if lengths is not None:
        raise Unsupported("sequence_lens of Scan is not supported", "leave it out, or use Scan of opset 9")
    rows = values[0].shape[0]
    keywords = {"scan_input_axes": None, "scan_output_axes": None, "scan_output_directions": None}
    results = [
        scan(
            *[nd.squeeze(nd.slice_axis(value, 0, row, row + 1), [0]) for value in values],
            body=body,
            num_scan_inputs=num_scan_inputs,
            scan_input_directions=directions,
            **keywords,
        )
        for row in range(rows)
    ]
    return tuple(nd.stack(list(parts), 0) for parts in zip(*results, strict=True))


def _is_cheap(value: Value) -> bool:
    """Whether looking at a value costs no run of what is pending."""
    return current().is_cheap(value)


def _is_unrolled(count: int | None, condition: Value | None, body: Graph) -> bool:
    """Whether a loop becomes part of the graph: it is short, and whether it goes on is known or passed through."""
    if count is not None and count > UNROLLED:
        return False
    if condition is not None and not _is_cheap(condition):
        return False
    return count is not None or _keeps_condition(body)


def _keeps_condition(body: Graph) -> bool:
    """Whether the body's own condition needs nothing that the body is fed but the iteration's number."""
    wanted, fed = {body.outputs[0].name}, {info.name for info in body.inputs[1:]}
    for node in reversed(body.nodes):
        if wanted & set(node.outputs):
            wanted |= set(node.reads())
    return not wanted & fed and not wanted & body.captures()


def _stack(rows: list[Value], info: ValueInfo, axis: int) -> Value:
    """The rows along a new axis; of no rows, an empty value of the declared shape."""
    if rows:
        return nd.stack(rows, nd.normal_axis(axis, rows[0].rank + 1))
    shape = [size if isinstance(size, int) else 0 for size in info.type.shape or ()]
    shape.insert(axis, 0)
    return nd.zeros(tuple(shape), info.type.dtype or "float32")


def _run_loop(trips: Value | None, condition: Value | None, states: list[Any], body: Graph) -> tuple[Any, ...]:
    """A loop whose length only the run can tell, as one call."""
    scope = current().scope
    around = {name: scope[name] for name in sorted(body.captures())}
    constants = {name: Tensor(v.dtype, v.data) for name, v in around.items() if isinstance(v, Value) and v.data is not None}
    captured = [name for name in around if name not in constants]
    outer = [around[name] for name in captured]
    inner = Graph(body.nodes, body.inputs, body.outputs, {**body.initializers, **constants})
    runner = _Loop(inner, captured, [_dtypes(value) for value in (*states, *outer)], len(states))
    outputs: list[Any] = [(None, "")] * (len(body.outputs) - 1)  # the body may declare no dtypes
    return tuple(nd.host(runner, [trips, condition, *states, *outer], outputs))


def _dtypes(value: Any) -> Any:
    return [_dtypes(item) for item in value] if isinstance(value, list) else None if value is None else value.dtype


def _dtype(dtypes: Any) -> str:
    while isinstance(dtypes, list):
        dtypes = dtypes[0] if dtypes else "float32"
    return str(dtypes)


class _Loop:
    """A loop's body as a program, called once an iteration with arrays."""

    __name__ = "Loop"

    def __init__(self, body: Graph, captured: list[str], dtypes: list[Any], states: int) -> None:
        from onnx_import.program import Program

        infos = body.inputs + [ValueInfo(name, Type()) for name in captured]
        self._program = Program(Graph(body.nodes, infos, body.outputs, body.initializers))
        self._names = [info.name for info in infos]
        self._dtypes, self._states, self._ends = dtypes, states, body.outputs[1 + states :]

    def __call__(self, trips: Any, condition: Any, *values: Any) -> tuple[Any, ...]:
        carried, outer = list(values[: self._states]), list(values[self._states :])
        rows: list[list[Any]] = [[] for _ in self._ends]
        goes_on, index = condition is None or bool(condition.reshape(-1)[0]), 0
        dtypes = ["int64", "bool", *self._dtypes]
        kinds = [info.type.dtype or "float32" for info in self._ends]
        while goes_on and (trips is None or index < int(trips.reshape(-1)[0])):
            if index == MOST_TURNS:
                raise InvalidInput(f"a loop of more than {MOST_TURNS} iterations")
            given = [np.array(index, np.int64), np.array(True), *carried, *outer]
            feeds = {name: _paired(value, kind) for name, value, kind in zip(self._names, given, dtypes, strict=True)}
            results, told = self._program.call(feeds)
            dtypes[2 : 2 + self._states], kinds = told[1 : 1 + self._states], told[1 + self._states :]
            goes_on, index = bool(results[0].reshape(-1)[0]), index + 1
            carried = results[1 : 1 + self._states]
            for collected, value in zip(rows, results[1 + self._states :], strict=True):
                collected.append(value)
        stacked = [_stacked(collected, info) for collected, info in zip(rows, self._ends, strict=True)]
        return tuple(
            nd.Told(value, kind)
            for value, kind in zip([*carried, *stacked], [*dtypes[2 : 2 + self._states], *kinds], strict=True)
        )


def _paired(value: Any, dtype: Any) -> Any:
    if isinstance(value, list):
        kinds = dtype if isinstance(dtype, list) and len(dtype) == len(value) else [_dtype(dtype)] * len(value)
        return [_paired(item, kind) for item, kind in zip(value, kinds, strict=True)]
    return None if value is None else (value, dtype)


def _stacked(rows: list[Any], info: ValueInfo) -> Any:
    if len({row.shape for row in rows}) > 1:
        raise InvalidInput(
            f"{info.name} has another shape in another iteration: {' and '.join(str(list(row.shape)) for row in rows[:2])}"
        )
    if rows:
        return np.stack(rows)
    shape = [size if isinstance(size, int) else 0 for size in info.type.shape or ()]
    return np.zeros((0, *shape), nd.zeros((0,), info.type.dtype or "float32").carrier)
