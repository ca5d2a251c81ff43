"""Operators of old opsets by their old definitions, where onnx's reference evaluator applies the new ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


def _flat(x: Array, axis: int) -> Array:
    """The matrix whose rows the operators before opset 13 normalize: everything from `axis` on is one row."""
    axis += x.ndim if axis < 0 else 0
    return x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)


@own("Softmax", until=13)
def softmax(x: Array, *, axis: int) -> Array:
    """Softmax of the rows of a flattened input."""
    rows = _flat(x, axis)
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), x.dtype).reshape(x.shape)


@own("LogSoftmax", until=13)
def log_softmax(x: Array, *, axis: int) -> Array:
    """The logarithm of softmax, without a detour over its powers."""
    rows = _flat(x, axis)
    rows = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(rows - np.log(np.exp(rows).sum(axis=1, keepdims=True)), x.dtype).reshape(x.shape)


@own("Hardmax", until=13)
def hardmax(x: Array, *, axis: int) -> Array:
    """One where a row has its first largest value, else zero."""
    rows = _flat(x, axis)
    found = np.zeros_like(rows)
    found[np.arange(len(rows)), rows.argmax(axis=1)] = 1
    return found.reshape(x.shape)


@own("BatchNormalization", until=14)
def batch_normalization(
    x: Array, scale: Array, bias: Array, mean: Array, var: Array, *, epsilon: float, spatial: int | None, outputs: int
) -> Array:
    """Inference: what every one of these versions means with one output, whatever momentum says."""
    if outputs > 1:
        raise NotImplementedError("it is asked for the statistics of training")
    # spatial 0 (until opset 8): statistics per activation, not per channel.
    shape = (1, *scale.shape) if spatial == 0 else (1, -1, *[1] * (x.ndim - 2))
    factor = scale.astype(np.float64) / np.sqrt(var.astype(np.float64) + epsilon)
    shift = bias - mean * factor
    if x.dtype != np.float64:
        factor, shift = factor.astype(np.float32), shift.astype(np.float32)
    return np.asarray(x * factor.reshape(shape) + shift.reshape(shape), x.dtype)


@own("Dropout", until=12)
def dropout(x: Array, *, outputs: int) -> tuple[Array, ...]:
    """Inference: nothing is dropped. The mask has the input's type until opset 10."""
    return (x, np.ones(x.shape, bool))[:outputs]


_BINARY: dict[str, Any] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Pow": np.power,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Equal": np.equal,
    "Greater": np.greater,
    "Less": np.less,
    "Div": lambda a, b: np.divide(a, b) if a.dtype.kind == "f" else (a / b).astype(a.dtype),
}


def _binary(op: str) -> None:
    @own(op, until=7)
    def evaluate(a: Array, b: Array, *, axis: int | None, broadcast: int | None) -> Array:
        """A binary operator before opset 7: `b` lies at `axis` of `a` where broadcast is asked for."""
        if broadcast and axis is not None:
            b = b.reshape(*b.shape, *[1] * (a.ndim - axis % a.ndim - b.ndim))
        return np.asarray(_BINARY[op](a, b))


for _op in _BINARY:
    _binary(_op)


@own("Reshape", until=5)
def reshape(x: Array, *, shape: list[int] | None) -> Array:
    """Reshape by an attribute; 0 keeps a size."""
    return x.reshape([x.shape[at] if size == 0 else size for at, size in enumerate(shape or [])])


@own("Clip", since=6, until=11)
def clip(x: Array, *, max: float, min: float) -> Array:  # noqa: A002 - ONNX's names
    """Values between two attributes."""
    return np.clip(x, x.dtype.type(min), x.dtype.type(max))


@own("Squeeze", until=13)
def squeeze(x: Array, *, axes: list[int] | None) -> Array:
    """Axes of size 1 taken out, in whatever order they are listed."""
    return np.squeeze(x, tuple(axes) if axes else None)


@own("Concat", until=4)
def concat(*inputs: Array, axis: int | None) -> Array:
    """Concatenation, along axis 1 unless said."""
    return np.concatenate(inputs, 1 if axis is None else axis)


@own("Split", until=2)
def split(
    x: Array, sizes: Array | None = None, *, axis: int | None, split: list[int] | None, outputs: int
) -> tuple[Array, ...]:
    """Pieces of equal sizes, or of those that an attribute or an input lists."""
    given = list(sizes) if sizes is not None else split or [x.shape[axis or 0] // outputs] * outputs
    return tuple(np.split(x, np.cumsum(given)[:-1], axis or 0))


@own("Tile", until=6)
def tile(x: Array, tiles: Array, axis: Array) -> Array:
    """Repetition along one axis."""
    repeats = [1] * x.ndim
    repeats[int(axis)] = int(tiles)
    return np.tile(x, repeats)


@own("Cast", until=6)
def cast(x: Array, *, to: Any) -> Array:
    """Conversion to a type that is named by a string."""
    number = onnx.TensorProto.DataType.Value(str(to))
    return x.astype(onnx.helper.tensor_dtype_to_np_dtype(number))


@own("Scatter")
def scatter(data: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    """The first name of ScatterElements."""
    found = data.copy()
    np.put_along_axis(found, indices, updates, axis)
    return found


@own("RoiAlign", until=16)
def roi_align(
    x: Array,
    rois: Array,
    batch_indices: Array,
    *,
    mode: str,
    output_height: int,
    output_width: int,
    sampling_ratio: int,
    spatial_scale: float,
) -> Array:
    """Regions of interest without the half-pixel shift that opset 16 made the default."""
    node = onnx.helper.make_node(
        "RoiAlign",
        ["x", "r", "b"],
        ["y"],
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
        coordinate_transformation_mode="output_half_pixel",
    )
    from onnx.reference import ReferenceEvaluator

    found: list[Array] = ReferenceEvaluator(node).run(None, {"x": x, "r": rois, "b": batch_indices})  # type: ignore[assignment]
    return found[0]
