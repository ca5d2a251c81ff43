"""The largest or smallest along an axis, in order."""

from __future__ import annotations

from onnx_import import nd
from onnx_import.errors import InvalidInput
from onnx_import.nd import Value
from onnx_import.registry import op


@op("TopK", since=1)
def top_k_by_attribute(x: Value, *, axis: int, k: int) -> tuple[Value, Value]:
    """The k largest and their places."""
    return _first(x, k, axis, True)


@op("TopK", since=10)
def top_k(x: Value, count: Value, *, axis: int, largest: int | None, sorted: int | None) -> tuple[Value, Value]:
    """The largest, or smallest, and their places; in order even where the node does not ask for it."""
    return _first(x, int(nd.scalar(count)), axis, largest != 0)


def _first(x: Value, k: int, axis: int, largest: bool) -> tuple[Value, Value]:
    axis = nd.normal_axis(axis, x.rank)
    if not 0 <= k <= x.shape[axis]:
        raise InvalidInput(f"the first {k} of axis {axis}, which has {x.shape[axis]}")
    return nd.top_k(x, k, axis, largest=largest)
