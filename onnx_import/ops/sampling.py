"""GridSample and AffineGrid: a tensor read at the points of a grid, and grids made of affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array, is_float
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value
from onnx_import.registry import op

MODES = {"bilinear": "linear", "bicubic": "cubic", "linear": "linear", "cubic": "cubic", "nearest": "nearest"}


@op("GridSample", since=16)
def grid_sample(x: Value, grid: Value, *, align_corners: int, mode: str, padding_mode: str) -> Value:
    """At each point of a grid what lies there in a tensor whose spatial axes run from -1 to 1."""
    if mode not in MODES or padding_mode not in ("zeros", "border", "reflection"):
        raise InvalidModel(f"GridSample has no mode {mode!r} with padding {padding_mode!r}")
    if x.rank < 3 or grid.rank != x.rank or grid.shape[-1] != x.rank - 2 or grid.shape[0] != x.shape[0]:
        raise InvalidInput(f"a grid of shape {list(grid.shape)} does not fit a tensor of shape {list(x.shape)}")
    batch, channels, points = x.shape[0], x.shape[1], grid.shape[1:-1]
    if 0 in x.shape or 0 in grid.shape:
        return nd.zeros((batch, channels, *points), x.dtype)
    flat = nd.reshape(grid, [batch, math.prod(points), x.rank - 2])
    places = []
    for axis, size in enumerate(x.shape[2:]):
        # The grid's coordinates are in the order x, y, z: the last axis first.
        part = nd.slice_axis(flat, -1, x.rank - 3 - axis, x.rank - 2 - axis)
        place = nd.reshape(nd.widen(part), [batch, math.prod(points)])
        places.append(nd.cast(_denormalized(place, size, bool(align_corners)), "float64"))
    whole = x if is_float(x.dtype) or MODES[mode] == "nearest" else nd.cast(x, "float64")
    sampler = nd.Sampler(MODES[mode], padding_mode, bool(align_corners))
    found = sampler.sample(nd.widen(whole), places)
    return nd.cast(nd.reshape(nd.transpose(found, [0, 2, 1]), [batch, channels, *points]), x.dtype)


def _denormalized(place: Value, size: int, align_corners: bool) -> Value:
    """-1 and 1 are the centres of the outermost elements, or their outer edges."""
    from_zero = nd.add(place, nd.number(1.0, place))
    if align_corners:
        return nd.multiply(from_zero, nd.number((size - 1) / 2, place))
    scaled = nd.subtract(nd.multiply(from_zero, nd.number(size, place)), nd.number(1.0, place))
    return nd.divide(scaled, nd.number(2.0, place))


@op("AffineGrid", since=20)
def affine_grid(theta: Value, sizes: Value, *, align_corners: int) -> Value:
    """The points to which affine maps take an even grid."""
    spatial = nd.ints(sizes)[2:]
    if len(spatial) not in (2, 3) or theta.rank != 3 or theta.shape[1:] != (len(spatial), len(spatial) + 1):
        raise InvalidInput(f"affine maps of shape {list(theta.shape)} do not fit {len(spatial)} axes")
    batch = theta.shape[0]
    if 0 in spatial or not batch:
        return nd.zeros((batch, *spatial, len(spatial)), theta.dtype)
    wide = nd.widen(theta)
    points = nd.constant(_even_grid(spatial, bool(align_corners)).astype(wide.dtype))
    product = nd.matmul(points, nd.transpose(wide, [0, 2, 1]))
    return nd.cast(nd.reshape(product, [batch, *spatial, len(spatial)]), theta.dtype)


def _even_grid(sizes: Sequence[int], align_corners: bool) -> Array:
    """Rows of x, y(, z) and 1 of every point."""
    lines = []
    nd.fitting((*sizes, len(sizes) + 1))
    for size in sizes:
        inner = (np.arange(size) * 2 + 1) / size - 1
        lines.append(np.linspace(-1, 1, size) if align_corners else inner)
    axes = np.meshgrid(*lines, indexing="ij")
    return np.stack([*(axis.ravel() for axis in reversed(axes)), np.ones(math.prod(sizes))], -1)
