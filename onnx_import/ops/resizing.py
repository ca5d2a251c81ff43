"""Resize and Upsample. Sizes, scales and the region of interest are known: an axis becomes constant neighbours and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array, bounds, is_integer
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value
from onnx_import.registry import op


@dataclass(frozen=True)
class Sampling:
    """Resize's attributes."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest_mode: str = "round_prefer_floor"
    cubic_coeff_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis to be resized: its sizes, the scale between them (not always their ratio), and the region that is shown."""

    axis: int
    size: int
    length: int
    scale: float
    start: float = 0.0
    end: float = 1.0


@op("Upsample", since=1)
def upsample_by_factors(x: Value, *, height_scale: float, width_scale: float, mode: str) -> Value:
    """Images enlarged."""
    return _enlarge(x, [1.0] * (x.rank - 2) + [height_scale, width_scale], mode)


@op("Upsample", since=7)
def upsample_by_attribute(x: Value, *, scales: list[float], mode: str) -> Value:
    """Every axis enlarged."""
    return _enlarge(x, scales, mode)


@op("Upsample", since=9)
@op("Resize", since=10)
def upsample(x: Value, scales: Value, *, mode: str) -> Value:
    """Every axis resized: places are divided by the scale; the nearest is the one before."""
    return _enlarge(x, [float(scale) for scale in nd.known(scales).ravel()], mode)


def _enlarge(x: Value, scales: Sequence[float], mode: str) -> Value:
    if mode not in ("nearest", "linear", "bilinear"):
        raise InvalidModel(f"mode is {mode!r}, not nearest or linear")
    sampling = Sampling("nearest" if mode == "nearest" else "linear", "asymmetric", "floor")
    return _resize(x, _by_scales(x, list(range(x.rank)), scales, None), sampling)


@op("Resize", since=11)
def resize(
    x: Value,
    roi: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
    *,
    antialias: int | None,
    axes: list[int] | None,
    coordinate_transformation_mode: str,
    cubic_coeff_a: float,
    exclude_outside: int,
    extrapolation_value: float,
    keep_aspect_ratio_policy: str | None,
    mode: str,
    nearest_mode: str,
) -> Value:
    """Axes resized by scales or to sizes."""
    if mode not in ("nearest", "linear", "cubic"):
        raise InvalidModel(f"mode is {mode!r}, not nearest, linear or cubic")
    sampling = Sampling(
        mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, bool(exclude_outside), bool(antialias)
    )
    over = nd.normal_axes(list(range(x.rank)) if axes is None else axes, x.rank)
    region = nd.known(roi).ravel() if roi is not None and coordinate_transformation_mode == "tf_crop_and_resize" else None
    if scales is not None and scales.size:
        plan = _by_scales(x, over, [float(scale) for scale in nd.known(scales).ravel()], region)
    elif sizes is not None:
        plan = _by_sizes(x, over, nd.ints(sizes), region, keep_aspect_ratio_policy or "stretch")
    else:
        raise InvalidInput("Resize needs scales or sizes")
    result = _resize(x, plan, sampling)
    return _extrapolate(result, plan, extrapolation_value) if region is not None else result


def _by_scales(x: Value, over: Sequence[int], scales: Sequence[float], region: Array | None) -> list[Axis]:
    if len(scales) != len(over) or not all(0 < scale < math.inf for scale in scales):
        raise InvalidInput(f"scales {list(scales)} do not fit {len(over)} axes")
    # Sizes are computed in float32, as ONNX's shape inference does.
    lengths = [math.floor(np.float32(x.shape[axis]) * np.float32(scale)) for axis, scale in zip(over, scales, strict=True)]
    return _planned(x, over, lengths, scales, region)


def _by_sizes(x: Value, over: Sequence[int], sizes: Sequence[int], region: Array | None, policy: str) -> list[Axis]:
    if len(sizes) != len(over) or any(x.shape[axis] == 0 for axis in over):
        raise InvalidInput(f"sizes {list(sizes)} do not fit axes {list(over)} of shape {list(x.shape)}")
    scales = [size / x.shape[axis] for axis, size in zip(over, sizes, strict=True)]
    lengths = list(sizes)
    if policy in ("not_larger", "not_smaller"):
        scales = [min(scales) if policy == "not_larger" else max(scales)] * len(over)
        lengths = [math.floor(scale * x.shape[axis] + 0.5) for axis, scale in zip(over, scales, strict=True)]
    elif policy != "stretch":
        raise InvalidModel(f"keep_aspect_ratio_policy is {policy!r}, not stretch, not_larger or not_smaller")
    return _planned(x, over, lengths, scales, region)


def _planned(
    x: Value, over: Sequence[int], lengths: Sequence[int], scales: Sequence[float], region: Array | None
) -> list[Axis]:
    count = len(over)
    ends = [(0.0, 1.0)] * count
    if region is not None:
        if len(region) != 2 * count:
            raise InvalidInput(f"a region of {len(region)} numbers does not fit {count} axes")
        ends = [(float(region[i]), float(region[i + count])) for i in range(count)]
    return [
        Axis(axis, x.shape[axis], length, scale, *span)
        for axis, length, scale, span in zip(over, lengths, scales, ends, strict=True)
    ]


def _resize(x: Value, plan: list[Axis], sampling: Sampling) -> Value:
    shape = list(x.shape)
    for axis in plan:
        shape[axis.axis] = axis.length
        nd.fitting((axis.length, 16))  # several numbers for each place along the axis
    nd.fitting(shape, nd.MOST_ELEMENTS)
    if 0 in shape:
        return nd.zeros(tuple(shape), x.dtype)
    todo = [axis for axis in plan if axis.length != axis.size or axis.scale != 1 or (axis.start, axis.end) != (0, 1)]
    if sampling.mode == "nearest":
        return _sampled(x, [(axis.axis, _taps(axis, sampling)) for axis in todo])
    whole = is_integer(x.dtype)
    wide = nd.cast(x, "float64") if whole else nd.widen(x)
    # Axes that shrink go first: less is left for the others.
    todo.sort(key=lambda axis: axis.length / axis.size)
    result = _sampled(wide, [(axis.axis, _taps(axis, sampling)) for axis in todo])
    if not whole:
        return nd.narrow(result, x.dtype)
    low, high = (nd.full((), float(bound), "float64") for bound in bounds(x.dtype))
    return nd.cast(nd.minimum(nd.maximum(nd.half_even(result), low), high), x.dtype)


def _sampled(x: Value, todo: list[tuple[int, nd.Taps]]) -> Value:
    axes = dict(todo)
    if x.rank == 4 and set(axes) == {2, 3}:
        image = nd.upsample_image(x, axes[2], axes[3])
        if image is not None:
            return image
    for axis, taps in todo:
        x = nd.resample(x, axis, taps)
    return x


def _places(axis: Axis, how: str) -> Array:
    """Where in the input each element of the result lies."""
    at = np.arange(axis.length, dtype=np.float64)
    whole = axis.scale * axis.size  # the length before it is rounded down
    last = axis.size - 1
    if how in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        if how == "pytorch_half_pixel" and axis.length <= 1:
            return np.zeros_like(at)
        shift = axis.size / 2 * (1 - axis.length / whole) if how == "half_pixel_symmetric" else 0.0
        return np.asarray(shift + (at + 0.5) / axis.scale - 0.5)
    if how == "asymmetric":
        return np.asarray(at / axis.scale)
    if how == "tf_half_pixel_for_nn":
        return np.asarray((at + 0.5) / axis.scale)
    if how == "align_corners":
        return np.asarray(at * last / (whole - 1)) if whole != 1 else np.zeros_like(at)
    if how == "tf_crop_and_resize":
        if whole == 1:
            return np.full_like(at, 0.5 * (axis.start + axis.end) * last)
        return np.asarray(axis.start * last + at * (axis.end - axis.start) * last / (whole - 1))
    raise InvalidModel(f"coordinate_transformation_mode is {how!r}, which ONNX does not have")


def _taps(axis: Axis, sampling: Sampling) -> nd.Taps:
    """The neighbours of each element and their weights."""
    places = _places(axis, sampling.coordinates)
    if sampling.mode == "nearest":
        return nd.Taps(_rounded(places, sampling.nearest_mode), np.ones((axis.length, 1)))
    stretch = min(axis.scale, 1.0) if sampling.antialias else 1.0
    reach = math.ceil((1 if sampling.mode == "linear" else 2) / stretch)
    first = np.floor(places).astype(np.int64) - reach + 1
    indices = first[:, None] + np.arange(2 * reach)
    distance = np.abs(indices - places[:, None]) * stretch
    weights = np.maximum(1 - distance, 0) if sampling.mode == "linear" else _cubic(distance, sampling.cubic_coeff_a)
    if sampling.exclude_outside:
        weights = np.where((indices >= 0) & (indices < axis.size), weights, 0)
    if sampling.exclude_outside or sampling.antialias:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return nd.Taps(first, weights)


def _rounded(places: Array, how: str) -> Array:
    rules: dict[str, Any] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda at: np.ceil(at - 0.5),
        "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    }
    if how not in rules:
        raise InvalidModel(f"nearest_mode is {how!r}, not one of {', '.join(rules)}")
    rounded: Array = rules[how](places).astype(np.int64)
    return rounded


def _cubic(distance: Array, a: float) -> Array:
    """Keys' kernel of cubic convolution."""
    inner = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    outer = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    return np.asarray(np.where(distance <= 1, inner, np.where(distance < 2, outer, 0)))


def _extrapolate(x: Value, plan: list[Axis], number: float) -> Value:
    """One number where the region of interest lies outside of the input."""
    for axis in plan:
        places = _places(axis, "tf_crop_and_resize")
        outside = (places < 0) | (places > axis.size - 1)
        if outside.any():
            mask = outside.reshape([-1 if i == axis.axis else 1 for i in range(x.rank)])
            x = nd.where(nd.constant(mask), nd.full((), number, x.dtype), x)
    return x
