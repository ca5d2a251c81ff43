"""Resize and Upsample as one matrix an axis: each output element is a weighted sum of input elements of its line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


@dataclass(frozen=True)
class Rule:
    """How an axis is sampled, by the names of Resize's attributes."""

    mode: str = "nearest"
    coordinate_transformation_mode: str = "half_pixel"
    nearest_mode: str = "round_prefer_floor"
    cubic_coeff_a: float = -0.75
    exclude_outside: int = 0
    extrapolation_value: float = 0.0
    antialias: int = 0


@own("Resize", since=11)
def resize(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    *,
    antialias: Any,
    axes: Any,
    coordinate_transformation_mode: str,
    cubic_coeff_a: float,
    exclude_outside: int,
    extrapolation_value: float,
    keep_aspect_ratio_policy: Any,
    mode: str,
    nearest_mode: str,
) -> Array:
    """Resize from opset 11 on."""
    rule = Rule(
        mode,
        coordinate_transformation_mode,
        nearest_mode,
        float(cubic_coeff_a),
        exclude_outside,
        float(extrapolation_value),
        antialias or 0,
    )
    over = [axis % x.ndim for axis in axes] if axes else list(range(x.ndim))
    if sizes is not None and len(sizes):
        factors = _fitted([int(n) for n in sizes], [x.shape[axis] for axis in over], keep_aspect_ratio_policy or "stretch")
        lengths = [int(n) for n in sizes]
        if keep_aspect_ratio_policy in ("not_larger", "not_smaller"):
            lengths = [math.floor(factor * x.shape[axis] + 0.5) for factor, axis in zip(factors, over, strict=True)]
    else:
        factors = [float(s) for s in (scales if scales is not None else [])]
        lengths = [
            math.floor(np.float32(factor) * np.float32(x.shape[axis])) for factor, axis in zip(factors, over, strict=True)
        ]
    regions = np.asarray(roi if roi is not None and len(roi) else [0.0] * len(over) + [1.0] * len(over), np.float64)
    return _along(x, over, factors, lengths, (regions, rule))


@own("Resize", since=10, until=11)
@own("Upsample", since=9)
def upsample(x: Array, scales: Array, *, mode: str) -> Array:
    """Resize before opset 11, and Upsample: coordinates are divided by the scale, nearest means the one below."""
    factors = [float(s) for s in scales]
    lengths = [math.floor(np.float32(factor) * np.float32(size)) for factor, size in zip(factors, x.shape, strict=True)]
    rule = Rule("linear" if mode in ("linear", "bilinear") else "nearest", "asymmetric", "floor")
    regions = np.array([0.0] * x.ndim + [1.0] * x.ndim)
    return _along(x, list(range(x.ndim)), factors, lengths, (regions, rule))


@own("Upsample", since=7, until=9)
def upsample_7(x: Array, *, mode: str, scales: list[float]) -> Array:
    """Upsample with its scales as an attribute."""
    return upsample(x, np.asarray(scales), mode=mode)


@own("Upsample", until=7)
def upsample_1(x: Array, *, mode: str, height_scale: float, width_scale: float) -> Array:
    """Upsample of images."""
    return upsample(x, np.asarray([1.0, 1.0, height_scale, width_scale]), mode=mode)


def _fitted(wanted: list[int], sizes: list[int], policy: str) -> list[float]:
    """The scale of each axis: its own, or one for all that keeps the picture within (or over) the wanted sizes."""
    factors = [want / size for want, size in zip(wanted, sizes, strict=True)]
    if policy == "stretch":
        return factors
    return [min(factors) if policy == "not_larger" else max(factors)] * len(factors)


def _along(x: Array, axes: Sequence[int], factors: Sequence[float], lengths: Sequence[int], how: tuple[Array, Rule]) -> Array:
    """Axis after axis; what lies outside the region of tf_crop_and_resize gets its value at the end."""
    regions, rule = how
    wide = x.astype(np.float64 if x.dtype == np.float64 or x.dtype.kind in "iu" else np.float32)
    outside = []
    for at, axis in enumerate(axes):
        region = (float(regions[at]), float(regions[at + len(axes)]))
        places = _places(lengths[at], x.shape[axis], factors[at], region, rule)
        if rule.coordinate_transformation_mode == "tf_crop_and_resize":
            outside.append((axis, (places < 0) | (places > x.shape[axis] - 1)))
        elif factors[at] == 1 and lengths[at] == x.shape[axis]:
            continue
        wide = _apply(wide, axis, places, factors[at], rule)
    for axis, beyond in outside:
        wide[(slice(None),) * axis + (beyond,)] = rule.extrapolation_value
    if x.dtype.kind in "iu" and rule.mode != "nearest":
        wide = np.clip(np.rint(wide), np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    found: Array = wide.astype(x.dtype)
    return found


def _places(length: int, size: int, factor: float, region: tuple[float, float], rule: Rule) -> Array:
    """Where in the input each output element lies."""
    at = np.arange(length, dtype=np.float64)
    how, wanted = rule.coordinate_transformation_mode, factor * size
    if how == "align_corners":
        return at * ((size - 1) / (wanted - 1)) if wanted != 1 else at * 0
    if how == "asymmetric":
        return at / factor
    if how == "tf_crop_and_resize":
        start, end = region
        if wanted == 1:
            return 0.5 * (start + end) * (size - 1) + at * 0
        return start * (size - 1) + at * (end - start) * (size - 1) / (wanted - 1)
    if how == "pytorch_half_pixel" and wanted <= 1:
        return at * 0 - 0.5 + 0.5
    if how == "half_pixel_symmetric":
        center = size / 2
        return center * (1 - length / wanted) + (at + 0.5) / factor - 0.5
    if how == "tf_half_pixel_for_nn":
        return (at + 0.5) / factor
    return (at + 0.5) / factor - 0.5


def _nearest(places: Array, size: int, how: str) -> Array:
    """The index of the input element that each output element copies."""
    rules: dict[str, Callable[[Array], Array]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda p: np.asarray(np.ceil(p - 0.5)),
        "round_prefer_ceil": lambda p: np.asarray(np.floor(p + 0.5)),
    }
    return np.asarray(np.clip(rules[how](places), 0, size - 1).astype(np.int64))


def _apply(x: Array, axis: int, places: Array, factor: float, rule: Rule) -> Array:
    """Sample one axis."""
    size = x.shape[axis]
    if rule.mode == "nearest":
        return np.take(x, _nearest(places, size, rule.nearest_mode), axis)
    matrix = _weights(places, size, factor, rule).astype(x.dtype)
    return np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)


def _weights(places: Array, size: int, factor: float, rule: Rule) -> Array:
    """The weight of each input element in each output element: a row for each output element."""
    stretch = min(factor, 1.0) if rule.antialias else 1.0
    radius = (2 if rule.mode == "cubic" else 1) / stretch
    first = np.floor(places).astype(np.int64) - math.ceil(radius) + 1
    taps = first[:, None] + np.arange(2 * math.ceil(radius))
    distance = np.abs(taps - places[:, None]) * stretch
    weights = _cubic(distance, rule.cubic_coeff_a) if rule.mode == "cubic" else np.maximum(0, 1 - distance)
    inside = (taps >= 0) & (taps < size)
    if rule.exclude_outside:
        weights = np.where(inside, weights, 0)
    if rule.exclude_outside or rule.antialias:
        weights = weights / weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(places), size))
    # Beyond the edge the edge's element counts.
    np.add.at(matrix, (np.arange(len(places))[:, None], np.clip(taps, 0, size - 1)), weights)
    return matrix


def _cubic(distance: Array, a: float) -> Array:
    """Keys' cubic convolution."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0)))
