"""Sums, means and extremes over axes; where they lie."""

from __future__ import annotations

import numpy as np

from onnx_import.exporting.build import Use, mx

_REDUCTIONS = {
    "ReduceSum": "sum sum_axis _np_sum",
    "ReduceMean": "mean _npi_mean",
    "ReduceMax": "max max_axis _np_max",
    "ReduceMin": "min min_axis _np_min",
    "ReduceProd": "prod _np_prod",
}


def axes_of(use: Use, name: str = "axis") -> list[int]:
    """The axes that an operator reduces, in order; all of them where none is named."""
    rank = len(use.shapes[0])
    named = use.get(name)
    chosen = [axis % rank for axis in use.ints(name)] if named not in (None, "None", ()) else list(range(rank))
    return [axis for axis in range(rank) if axis not in chosen] if use.flag("exclude") else sorted(chosen)


def reduce(use: Use, op: str, value: str, axes: list[int], keepdims: bool) -> str:
    """A reduction, its axes as the opset takes them."""
    if op == "ReduceSum" or use.build.opset >= 18:
        return use.emit(op, value, use.const(axes), keepdims=int(keepdims))
    return use.emit(op, value, axes=axes, keepdims=int(keepdims))


def fit(use: Use, value: str, axes: list[int]) -> str:
    """A reduction of every axis is a vector of one element to MXNet's legacy operators."""
    everything = len(axes) == len(use.shapes[0]) and use.shape == (1,) and not use.flag("keepdims")
    return use.emit("Reshape", value, use.const([1])) if everything else value


def _reduction(op: str, names: str) -> None:
    @mx(*names.split())
    def convert(use: Use) -> str:
        """One reduction, in the type of its result."""
        axes = axes_of(use)
        value = use.cast(use.inputs[0], use.dtypes[0], use.dtype)
        if not axes:
            return use.emit("Identity", value)
        return fit(use, reduce(use, op, value, axes, use.flag("keepdims")), axes)


for _op, _names in _REDUCTIONS.items():
    _reduction(_op, _names)


@mx("norm")
def norm(use: Use) -> str:
    """The 1-norm or 2-norm."""
    axes = axes_of(use)
    op = "ReduceL1" if int(use.get("ord", 2)) == 1 else "ReduceL2"
    return fit(use, reduce(use, op, use.inputs[0], axes, use.flag("keepdims")), axes)


@mx("argmax", "argmin", "_npi_argmax", "_npi_argmin")
def arg_extreme(use: Use) -> str:
    """Where the largest or smallest lies: the first of several, as a number of the result's type."""
    op = "ArgMax" if use.node.op.endswith("max") else "ArgMin"
    axis, value, keep = use.get("axis"), use.inputs[0], int(use.flag("keepdims"))
    if axis in (None, "None"):
        value, axis = use.emit("Reshape", value, use.const([-1])), 0
        found = use.emit(op, value, axis=0, keepdims=0)
        shape = use.shape
        return use.cast(use.emit("Reshape", found, use.const(list(shape))), "int64", use.dtype)
    return use.cast(use.emit(op, value, axis=int(axis), keepdims=keep), "int64", use.dtype)


@mx("argmax_channel")
def argmax_channel(use: Use) -> str:
    """Where the largest of axis 1 lies."""
    return use.cast(use.emit("ArgMax", use.inputs[0], axis=1, keepdims=0), "int64", use.dtype)


@mx("_np_cumsum", "cumsum")
def cumulative(use: Use) -> str:
    """Running sums."""
    value, axis = use.cast(use.inputs[0], use.dtypes[0], use.dtype), use.get("axis")
    if axis in (None, "None"):
        value, axis = use.emit("Reshape", value, use.const([-1])), 0
    return use.emit("CumSum", value, use.const(int(axis)))


@mx("_contrib_div_sqrt_dim")
def div_sqrt_dim(use: Use) -> str:
    """Over the square root of the last size."""
    return use.emit("Div", use.inputs[0], use.const(np.sqrt(use.shapes[0][-1]), use.dtype))
