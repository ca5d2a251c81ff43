"""Elements chosen, and elements replaced, by index tensors."""

from __future__ import annotations

import math

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value
from onnx_import.registry import op


@op("Gather", since=1)
def gather(x: Value, indices: Value, *, axis: int) -> Value:
    """The slices along an axis at the places of a tensor."""
    return nd.take(x, indices, axis)


@op("GatherElements", since=11)
def gather_elements(x: Value, indices: Value, *, axis: int) -> Value:
    """At each place of `indices` the element whose index along an axis is there."""
    return nd.take_along(x, indices, axis)


@op("GatherND", since=11)
def gather_nd(x: Value, indices: Value, *, batch_dims: int | None) -> Value:
    """The slices at index tuples, which lie on the last axis of `indices`."""
    batch = batch_dims or 0
    depth = indices.shape[-1]
    if batch + depth > x.rank or x.shape[:batch] != indices.shape[:batch]:
        raise InvalidInput(f"indices of shape {list(indices.shape)} do not fit {list(x.shape)} with {batch} batch axes")
    rows, inner = x.shape[batch : batch + depth], x.shape[batch + depth :]
    shape = (*indices.shape[:-1], *inner)
    places = nd.flat_places(indices, rows)
    if batch:
        first = nd.starts(x, batch, math.prod(rows))
        places = nd.add(places, nd.reshape(first, [*first.shape, *[1] * (places.rank - batch)]))
    flat = nd.reshape(x, [math.prod(x.shape[: batch + depth]), *inner])
    return nd.reshape(nd.rows_at(flat, places), shape)


@op("Scatter", since=9)
@op("ScatterElements", since=11)
def scatter_elements(x: Value, indices: Value, updates: Value, *, axis: int, reduction: str | None) -> Value:
    """Elements replaced by `updates`, or combined with them: `indices` has each one's index along an axis."""
    if indices.shape != updates.shape:
        raise InvalidInput(f"indices of shape {list(indices.shape)} and updates of shape {list(updates.shape)} differ")
    places = nd.along_places(indices, x.shape, axis)
    flat, at, new = (nd.reshape(value, [value.size]) for value in (x, places, updates))
    return nd.reshape(nd.put(flat, at, new, _known_reduction(reduction)), x.shape)


@op("ScatterND", since=11)
def scatter_nd(x: Value, indices: Value, updates: Value, *, reduction: str | None) -> Value:
    """Slices at index tuples replaced by `updates`, or combined with them."""
    depth = indices.shape[-1]
    if depth > x.rank or updates.shape != (*indices.shape[:-1], *x.shape[depth:]):
        raise InvalidInput(f"indices {list(indices.shape)} and updates {list(updates.shape)} do not fit {list(x.shape)}")
    inner = x.shape[depth:]
    places = nd.flat_places(indices, x.shape[:depth])
    rows = nd.reshape(x, [math.prod(x.shape[:depth]), *inner])
    flat = nd.reshape(updates, [places.size, *inner])
    result = nd.put(rows, nd.reshape(places, [places.size]), flat, _known_reduction(reduction))
    return nd.reshape(result, x.shape)


def _known_reduction(reduction: str | None) -> str:
    reduction = reduction or "none"
    if reduction not in ("none", "add", "mul", "min", "max"):
        raise InvalidModel(f"reduction is {reduction!r}, not none, add, mul, min or max")
    return reduction


@op("TensorScatter", since=24)
def tensor_scatter(cache: Value, update: Value, write_indices: Value | None = None, *, axis: int, mode: str) -> Value:
    """A cache with rows of each batch item replaced, from its write index on; `circular` goes on at the start."""
    axis = nd.normal_axis(axis, cache.rank)
    if axis == 0 or update.shape != (*cache.shape[:axis], update.shape[axis], *cache.shape[axis + 1 :]):
        raise InvalidInput(f"an update of shape {list(update.shape)} does not fit a cache of shape {list(cache.shape)}")
    batch, between = cache.shape[0], math.prod(cache.shape[1:axis])
    length, rows, inner = cache.shape[axis], update.shape[axis], cache.shape[axis + 1 :]
    first = nd.zeros((batch,), "int64") if write_indices is None else nd.cast(write_indices, "int64")
    places = nd.add(nd.expand_dims(first, [1]), nd.constant(np.arange(rows)[None]))
    if mode == "circular":
        places = nd.mod(places, nd.constant(np.int64(length)))
    places = nd.expand_dims(nd.checked(places, length), [1])
    starts = nd.reshape(nd.starts(cache, axis, length), [batch, between, 1])
    flat = nd.reshape(nd.add(places, starts), [batch * between * rows])
    lines = nd.reshape(cache, [batch * between * length, *inner])
    return nd.reshape(nd.put(lines, flat, nd.reshape(update, [batch * between * rows, *inner])), cache.shape)
