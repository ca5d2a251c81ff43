"""Loop and Scan as ONNX defines them: any axis and direction, a limit or a condition left out, no iteration at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import Evaluator, own

Context = Mapping[str, Any]


@own("Loop")
def loop(
    limit: Array | None, condition: Array | None, *carried: Any, body: Evaluator, context: Context, attributes: Any
) -> tuple[Any, ...]:
    """The body again and again: what is carried on, then what each iteration gave, stacked."""
    names, state = body.input_names, list(carried)
    collected: list[list[Array]] = [[] for _ in body.output_names[1 + len(state) :]]
    last, alive, done = None if limit is None else int(np.ravel(limit)[0]), condition is None or bool(condition), 0
    while alive and (last is None or done < last):
        feeds = [np.array(done, np.int64), np.array(alive), *state]
        outputs = body.run(None, {**context, **dict(zip(names, feeds, strict=True))}, attributes=attributes)
        alive, state = bool(outputs[0]), outputs[1 : 1 + len(state)]
        for kept, value in zip(collected, outputs[1 + len(state) :], strict=True):
            kept.append(value)
        done += 1
    types = body.output_types[1 + len(state) :]
    return (*state, *(np.stack(kept) if kept else _nothing(kind) for kept, kind in zip(collected, types, strict=True)))


def _nothing(kind: Any, axis: int = 0) -> Array:
    """What no iteration gives: no element, of the type that the body declares."""
    sizes = [dim.dim_value for dim in kind.tensor_type.shape.dim]
    return np.zeros([*sizes[:axis], 0, *sizes[axis:]], tensor_dtype_to_np_dtype(kind.tensor_type.elem_type))


@own("Scan", since=9)
def scan(
    *inputs: Any,
    body: Evaluator,
    context: Context,
    attributes: Any,
    num_scan_inputs: int,
    scan_input_axes: list[int] | None,
    scan_input_directions: list[int] | None,
    scan_output_axes: list[int] | None,
    scan_output_directions: list[int] | None,
) -> tuple[Any, ...]:
    """The body for each slice of the scanned inputs: the last state, then what each slice gave, stacked."""
    count = len(inputs) - num_scan_inputs
    state, axes = list(inputs[:count]), scan_input_axes or [0] * num_scan_inputs
    lines = [np.moveaxis(x, axis, 0) for x, axis in zip(inputs[count:], axes, strict=True)]
    lines = [x[::-1] if back else x for x, back in zip(lines, scan_input_directions or [0] * len(lines), strict=True)]
    collected: list[list[Array]] = [[] for _ in body.output_names[count:]]
    for slices in zip(*lines, strict=True):
        feeds = dict(zip(body.input_names, [*state, *map(np.asarray, slices)], strict=True))
        outputs = body.run(None, {**context, **feeds}, attributes=attributes)
        state = outputs[:count]
        for kept, value in zip(collected, outputs[count:], strict=True):
            kept.append(value)
    ends = scan_output_axes or [0] * len(collected)
    backward = scan_output_directions or [0] * len(collected)
    types = body.output_types[count:]
    found = [_stacked(*each) for each in zip(collected, ends, backward, types, strict=True)]
    return (*state, *found)


def _stacked(kept: list[Array], axis: int, backward: int, kind: Any) -> Array:
    if not kept:
        return _nothing(kind, axis)
    return np.stack(kept[::-1] if backward else kept, axis)


@own("Scan", since=8, until=9)
def scan_8(
    lengths: Array | None,
    *inputs: Any,
    body: Evaluator,
    context: Context,
    attributes: Any,
    num_scan_inputs: int,
    directions: list[int] | None,
) -> tuple[Any, ...]:
    """Scan of opset 8: each sample of a batch on its own; what lies beyond a sample's length is zero."""
    count = len(inputs) - num_scan_inputs
    size = inputs[count].shape[1]
    results = []
    for at in range(inputs[0].shape[0]):
        length = size if lengths is None else int(lengths[at])
        given = [*(x[at] for x in inputs[:count]), *(x[at, :length] for x in inputs[count:])]
        rest: dict[str, Any] = {"scan_input_axes": None, "scan_output_axes": None, "scan_output_directions": None}
        common: dict[str, Any] = {"body": body, "context": context, "attributes": attributes}
        found = scan(*given, **common, num_scan_inputs=num_scan_inputs, scan_input_directions=directions, **rest)
        pads = [[(0, size - length), *[(0, 0)] * (x.ndim - 1)] for x in found[count:]]
        results.append([*found[:count], *(np.pad(x, pad) for x, pad in zip(found[count:], pads, strict=True))])
    return tuple(np.stack(column) for column in zip(*results, strict=True))
