"""Regions of images pooled to one size: RoiAlign and MaxRoiPool."""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value
from onnx_import.registry import op

Grid = tuple[int, int]

MOST_POINTS = 1 << 27
"""Numbers at the points of all boxes, which take memory several times."""

TINY = 1e-6
"""The extent that a box of none gets, so that its points are all one."""

LARGEST = 1 << 14
"""Elements that the side of a box has at most where its extent says how many points are read."""


@op("RoiAlign", since=10)
def roi_align(
    x: Value,
    rois: Value,
    items: Value,
    *,
    coordinate_transformation_mode: str | None,
    mode: str,
    output_height: int,
    output_width: int,
    sampling_ratio: int,
    spatial_scale: float,
) -> Value:
    """Each region's bins: mean, or largest, of points between pixels. Before opset 16 none is shifted by half a pixel."""
    if mode not in ("avg", "max"):
        raise InvalidModel(f"mode is {mode!r}, not avg or max")
    if x.rank != 4 or rois.rank != 2 or rois.shape[1] != 4 or items.shape != rois.shape[:1]:
        raise InvalidInput(f"regions of shape {list(rois.shape)} and items {list(items.shape)} do not fit {list(x.shape)}")
    shape = (rois.shape[0], x.shape[1], output_height, output_width)
    if 0 in shape or 0 in x.shape:
        return nd.zeros(shape, x.dtype)
    wide = nd.widen(x)
    scaled = nd.multiply(nd.cast(rois, wide.dtype), nd.full((), spatial_scale, wide.dtype))
    items = nd.checked(nd.cast(items, "int64"), x.shape[0])
    bins, how = (output_height, output_width), (sampling_ratio, coordinate_transformation_mode == "half_pixel")
    pooled = _mean(wide, scaled, items, bins, how) if mode == "avg" else _largest(wide, scaled, items, bins, how)
    return nd.cast(pooled, x.dtype)


def _mean(x: Value, boxes: Value, items: Value, bins: Grid, how: tuple[int, bool]) -> Value:
    """By MXNet's operator, which ends the process where a box has no extent or is no number: it gets none such.

    A box turned around has its bins in the other order; where its own extent says how many points there are, it has none.
    """
    ratio, is_shifted = how
    unsure = nd.multiply(nd.reduce_sum(boxes, [1]), nd.number(0.0, boxes))  # 0, or NaN
    boxes = nd.where(nd.equal(unsure, unsure), boxes, nd.constant(np.array([[0, 0, 1, 1]]), boxes.dtype))
    starts, ends = nd.slice_axis(boxes, 1, 0, 2), nd.slice_axis(boxes, 1, 2, 4)
    is_turned = nd.less(ends, starts)
    if ratio <= 0:
        ends = nd.maximum(ends, starts)
        extents = nd.cast(nd.subtract(ends, starts), "int64")
        # MXNet makes room for every point of the largest box.
        ends = nd.add(ends, nd.cast(nd.subtract(nd.checked(extents, LARGEST), extents), ends.dtype))
    low, high = nd.minimum(starts, ends), nd.maximum(starts, ends)
    if is_shifted:
        least = nd.maximum(nd.number(TINY, low), nd.multiply(nd.absolute(low), nd.number(TINY, low)))
        is_empty = nd.less(nd.subtract(high, low), least)
        if ratio <= 0:  # it has no points, wherever it is; far off its least extent would have many
            low, least = nd.where(is_empty, nd.number(0.0, low), low), nd.number(TINY, low)
        high = nd.where(is_empty, nd.add(low, nd.add(least, least)), high)
    else:
        low, high = starts, ends
    rows = nd.concatenate([nd.cast(nd.expand_dims(items, [1]), x.dtype), low, high], 1)
    shape = (boxes.shape[0], x.shape[1], *bins)
    sizes = {"pooled_size": bins, "spatial_scale": 1.0, "sample_ratio": ratio, "aligned": is_shifted}
    pooled = nd.emit("_contrib_ROIAlign", [x, rows], shape, x.dtype, **sizes)
    if is_shifted and ratio > 0:
        for axis, place in ((3, 0), (2, 1)):
            mask = nd.reshape(nd.slice_axis(is_turned, 1, place, place + 1), [shape[0], 1, 1, 1])
            pooled = nd.where(mask, nd.flip(pooled, axis), pooled)
    elif is_shifted:
        lacks = nd.less_equal(ends, starts)
        either = nd.logical_or(nd.slice_axis(lacks, 1, 0, 1), nd.slice_axis(lacks, 1, 1, 2))
        pooled = nd.where(nd.reshape(either, [shape[0], 1, 1, 1]), nd.number(0.0, pooled), pooled)
    return nd.add(pooled, nd.reshape(unsure, [shape[0], 1, 1, 1]))


def _largest(x: Value, box: Value, items: Value, bins: Grid, how: tuple[int, bool]) -> Value:
    """Of each bin the largest of the weighted pixels around its points, as ONNX defines RoiAlign's max."""
    ratio, is_shifted = how
    box = nd.subtract(box, nd.number(0.5 if is_shifted else 0.0, box))
    regions, axes = box.shape[0], []
    for axis, (size, count) in enumerate(zip(x.shape[2:], bins, strict=True)):
        start = nd.slice_axis(box, 1, 1 - axis, 2 - axis)
        extent = nd.subtract(nd.slice_axis(box, 1, 3 - axis, 4 - axis), start)
        if not is_shifted:
            extent = nd.maximum(extent, nd.number(1.0, extent))
        width = nd.divide(extent, nd.number(count, extent))
        axes.append(_points(start, width, (size, count), ratio))
    (low_rows, high_rows, down, row_ok), (low_columns, high_columns, right, column_ok) = axes
    nd.fitting((regions, low_rows.shape[1], low_columns.shape[1], x.shape[1]), MOST_POINTS)
    pixels = nd.reshape(nd.transpose(x, [0, 2, 3, 1]), [x.shape[0] * x.shape[2] * x.shape[3], x.shape[1]])
    first = nd.multiply(nd.reshape(nd.cast(items, "int64"), [regions, 1, 1]), nd.constant(np.int64(x.shape[2] * x.shape[3])))
    is_inside = nd.logical_and(nd.expand_dims(row_ok, [2]), nd.expand_dims(column_ok, [1]))
    best = None
    for row, row_share in ((low_rows, _rest(down)), (high_rows, down)):
        for column, column_share in ((low_columns, _rest(right)), (high_columns, right)):
            lines = nd.multiply(nd.expand_dims(row, [2]), nd.constant(np.int64(x.shape[3])))
            place = nd.add(nd.add(lines, nd.expand_dims(column, [1])), first)
            share = nd.multiply(nd.expand_dims(row_share, [2]), nd.expand_dims(column_share, [1]))
            found = nd.multiply(nd.take(pixels, place, 0), nd.expand_dims(share, [3]))
            best = found if best is None else nd.maximum(best, found)
    assert best is not None
    answered = nd.where(nd.expand_dims(is_inside, [3]), best, nd.number(0.0, best))
    return _pooled(answered, (low_rows.shape[1] // bins[0], low_columns.shape[1] // bins[1]), bins)


def _points(start: Value, width: Value, sizes: Grid, ratio: int) -> tuple[Value, Value, Value, Value]:
    """Of each region the points of its bins along one axis: pixels before and behind, share of the latter, and which count.

    Without a ratio each region has as many points a bin as its bins are wide; what others have more of repeats the last.
    """
    size, bins = sizes
    regions = start.shape[0]
    if ratio > 0:
        counts = nd.full((regions, 1), float(ratio), start.dtype)
        most = ratio
    else:
        counts = nd.unary("ceil", width, np.ceil)
        most = int(np.nan_to_num(nd.known(counts), nan=1, posinf=LARGEST).clip(1, LARGEST).max())
    step = nd.constant(np.arange(most).reshape(1, most), "float64")
    inner = nd.minimum(nd.cast(step, start.dtype), nd.subtract(counts, nd.number(1.0, counts)))
    part = nd.divide(nd.multiply(nd.add(inner, nd.number(0.5, inner)), width), counts)
    bin_starts = nd.multiply(nd.cast(nd.constant(np.arange(bins).reshape(1, bins)), start.dtype), width)
    at = nd.reshape(nd.add(nd.expand_dims(nd.add(bin_starts, start), [2]), nd.expand_dims(part, [1])), [regions, bins * most])
    counts_in = nd.logical_and(nd.greater_equal(at, nd.number(-1.0, at)), nd.less_equal(at, nd.number(size, at)))
    counts_in = nd.logical_and(counts_in, nd.greater(counts, nd.number(0.0, counts)))
    inside = nd.clip(at, 0.0, size - 1.0)
    below = nd.unary("floor", inside, np.floor)
    above = nd.minimum(nd.add(below, nd.number(1.0, below)), nd.number(size - 1.0, below))
    return nd.cast(below, "int64"), nd.cast(above, "int64"), nd.subtract(inside, below), counts_in


def _rest(share: Value) -> Value:
    return nd.subtract(nd.number(1.0, share), share)


def _pooled(found: Value, points: Grid, bins: Grid) -> Value:
    """The largest of each bin's points, of (regions, rows, columns, channels)."""
    regions, channels = found.shape[0], found.shape[3]
    split = nd.reshape(found, [regions, bins[0], points[0], bins[1] * points[1] * channels])
    rows = nd.reshape(nd.reduce_max(split, [2], False), [regions * bins[0], bins[1], points[1], channels])
    largest = nd.reshape(nd.reduce_max(rows, [2], False), [regions, bins[0], bins[1], channels])
    return nd.transpose(largest, [0, 3, 1, 2])


@op("MaxRoiPool", since=1)
def max_roi_pool(x: Value, rois: Value, *, pooled_shape: list[int], spatial_scale: float) -> Value:
    """The largest pixel of each bin of each region, whose corners are rounded; 0 for a bin of none."""
    if x.rank != 4 or rois.rank != 2 or rois.shape[1] != 5 or len(pooled_shape) != 2:
        raise InvalidInput(f"regions of shape {list(rois.shape)} do not fit images of shape {list(x.shape)}")
    shape = (rois.shape[0], x.shape[1], *pooled_shape)
    if 0 in shape or 0 in x.shape:
        return nd.zeros(shape, x.dtype)
    wide = nd.widen(x)
    inputs = [wide, nd.cast(rois, wide.dtype)]
    sizes = {"pooled_size": tuple(pooled_shape), "spatial_scale": spatial_scale}
    return nd.cast(nd.emit("ROIPooling", inputs, shape, wide.dtype, **sizes), x.dtype)
