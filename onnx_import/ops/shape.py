"""Sizes, and the same elements in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.graph import Node
from onnx_import.nd import Value
from onnx_import.registry import op


@op("Shape", since=1)
def shape(x: Value, *, start: int | None, end: int | None) -> Value:
    """The sizes of the axes from `start` to `end`."""
    return nd.constant(np.array(x.shape[slice(start, end)], np.int64))


@op("Size", since=1)
def size(x: Value) -> Value:
    """The number of elements."""
    return nd.constant(np.array(x.size, np.int64))


@op("Reshape", since=1)
def reshape_by_attribute(x: Value, *, shape: list[int] | None) -> Value:
    """The elements in the shape of an attribute."""
    if shape is None:
        raise Unsupported("Reshape without a shape")
    return _reshape(x, shape, False)


@op("Reshape", since=5)
def reshape(x: Value, sizes: Value, *, allowzero: int | None) -> Value:
    """The elements in another shape: -1 is what fills up, 0 copies a size (unless `allowzero`)."""
    return _reshape(x, nd.ints(sizes), bool(allowzero))


def _reshape(x: Value, sizes: Sequence[int], zero_is_size: bool) -> Value:
    wanted = list(sizes)
    if not zero_is_size:
        if any(size == 0 and axis >= x.rank for axis, size in enumerate(wanted)):
            raise InvalidInput(f"shape {wanted} copies a size that a tensor of {x.rank} axes does not have")
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    if -1 in wanted:
        rest = math.prod(size for size in wanted if size != -1)
        if rest == 0 or x.size % rest:
            raise InvalidInput(f"shape {list(x.shape)} does not fit into {wanted}")
        wanted[wanted.index(-1)] = x.size // rest
    return nd.reshape(x, wanted)


@op("Flatten", since=1)
def flatten(x: Value, *, axis: int) -> Value:
    """A matrix: the axes before `axis`, and the others."""
    if not -x.rank <= axis <= x.rank:
        raise InvalidInput(f"axis {axis} is none of a tensor of {x.rank} axes")
    axis = axis if axis >= 0 else axis + x.rank
    return nd.reshape(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])


@op("Squeeze", since=1)
def squeeze_by_attribute(x: Value, *, axes: list[int] | None) -> Value:
    """Axes of size 1 left out: those of an attribute, or all."""
    return nd.squeeze(x, axes)


@op("Squeeze", since=13)
def squeeze(x: Value, axes: Value | None = None) -> Value:
    """Axes of size 1 left out: those named, or all."""
    return nd.squeeze(x, None if axes is None else nd.ints(axes))


@op("Unsqueeze", since=1)
def unsqueeze_by_attribute(x: Value, *, axes: list[int]) -> Value:
    """Axes of size 1 put in where an attribute says."""
    return nd.expand_dims(x, axes)


@op("Unsqueeze", since=13)
def unsqueeze(x: Value, axes: Value) -> Value:
    """Axes of size 1 put in; `axes` count in the result."""
    return nd.expand_dims(x, nd.ints(axes))


@op("Transpose", since=1)
def transpose(x: Value, *, perm: list[int] | None) -> Value:
    """The axes in another order; back to front without one."""
    return nd.transpose(x, list(reversed(range(x.rank))) if perm is None else perm)


@op("Expand", since=8)
def expand(x: Value, sizes: Value) -> Value:
    """Broadcast with a shape: in both directions, so that a size of 1 leaves a size alone."""
    wanted = tuple(nd.ints(sizes))
    try:
        shape = np.broadcast_shapes(x.shape, wanted)
    except ValueError as error:
        raise InvalidInput(f"shape {list(x.shape)} does not broadcast with {list(wanted)}") from error
    return nd.expand(x, shape)


@op("Tile", since=1)
def tile_axis(x: Value, tiles: Value, axis: Value) -> Value:
    """The whole repeated along one axis."""
    repeats = [1] * x.rank
    repeats[nd.normal_axis(nd.ints(axis)[0], x.rank)] = nd.ints(tiles)[0]
    return nd.tile(x, repeats)


@op("Tile", since=6)
def tile(x: Value, repeats: Value) -> Value:
    """The whole repeated along each axis."""
    counts = nd.ints(repeats)
    if len(counts) != x.rank or any(count < 0 for count in counts):
        raise InvalidInput(f"repeats {counts} do not fit a tensor of {x.rank} axes")
    return nd.tile(x, counts)


@op("Concat", since=1)
def concat(*values: Value, axis: int | None) -> Value:
    """Values one behind the other along an axis; along axis 1 before opset 4, where none is given."""
    return nd.concatenate(values, 1 if axis is None else axis)


@op("Split", since=1)
def split_by_attribute(
    x: Value, sizes: Value | None = None, *, axis: int | None, split: list[int] | None, node: Node
) -> tuple[Value, ...]:
    """Pieces along an axis, of the sizes that an attribute (or at first an input) gives; all of one size without any."""
    axis = nd.normal_axis(axis or 0, x.rank)
    given = nd.ints(sizes) if sizes is not None else split
    return _split(x, given, axis, len(node.outputs), False)


@op("Split", since=13)
def split(x: Value, sizes: Value | None = None, *, axis: int, num_outputs: int | None, node: Node) -> tuple[Value, ...]:
    """Pieces along an axis, of given sizes or all of one; with `num_outputs` the last one may be smaller."""
    axis = nd.normal_axis(axis, x.rank)
    given = None if sizes is None else nd.ints(sizes)
    return _split(x, given, axis, num_outputs or len(node.outputs), num_outputs is not None)


def _split(x: Value, sizes: Sequence[int] | None, axis: int, count: int, is_last_smaller: bool) -> tuple[Value, ...]:
    length = x.shape[axis]
    if sizes is None:
        if length % count and not is_last_smaller:
            raise InvalidInput(f"{length} elements along axis {axis} do not split into {count} equal pieces")
        piece = -(-length // count)
        sizes = [max(0, min(piece, length - piece * index)) for index in range(count)]
    if sum(sizes) != length or min(sizes) < 0:
        raise InvalidInput(f"pieces of {list(sizes)} do not make up the {length} of axis {axis}")
    return tuple(nd.split(x, sizes, axis))


@op("DepthToSpace", since=1)
def depth_to_space(x: Value, *, blocksize: int, mode: str | None) -> Value:
    """Channels laid out as blocks: DCR takes the block's place from the front of the channel axis, CRD from its end."""
    batch, channels, height, width = _image(x)
    depth = channels // blocksize**2
    if depth * blocksize**2 != channels:
        raise InvalidInput(f"{channels} channels do not make blocks of {blocksize} by {blocksize}")
    if mode == "CRD":
        blocks = nd.reshape(x, [batch, depth, blocksize, blocksize, height, width])
        moved = nd.transpose(blocks, [0, 1, 4, 2, 5, 3])
    else:
        blocks = nd.reshape(x, [batch, blocksize, blocksize, depth, height, width])
        moved = nd.transpose(blocks, [0, 3, 4, 1, 5, 2])
    return nd.reshape(moved, [batch, depth, height * blocksize, width * blocksize])


@op("SpaceToDepth", since=1)
def space_to_depth(x: Value, *, blocksize: int, mode: str | None) -> Value:
    """Blocks laid out as channels: DCR puts the place in the block in front of the channel, CRD behind it."""
    batch, channels, height, width = _image(x)
    if height % blocksize or width % blocksize:
        raise InvalidInput(f"an image of {height} by {width} does not make blocks of {blocksize} by {blocksize}")
    rows, columns = height // blocksize, width // blocksize
    blocks = nd.reshape(x, [batch, channels, rows, blocksize, columns, blocksize])
    moved = nd.transpose(blocks, [0, 1, 3, 5, 2, 4] if mode == "CRD" else [0, 3, 5, 1, 2, 4])
    return nd.reshape(moved, [batch, channels * blocksize**2, rows, columns])


def _image(x: Value) -> tuple[int, ...]:
    if x.rank != 4:
        raise InvalidInput(f"an image has 4 axes, not {x.rank}")
    return x.shape
