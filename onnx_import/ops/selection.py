"""Operators whose output sizes follow from values: by the host library, unless the values are at hand."""

from __future__ import annotations

from onnx_import import nd
from onnx_import.dtypes import CARRIERS
from onnx_import.errors import InvalidInput
from onnx_import.host import boxes, pictures, selection
from onnx_import.nd import Value
from onnx_import.registry import op

SMALL = 8
"""Flags of the longest fed condition by whose values a trace is remembered, instead of by how many are true."""


@op("NonZero", since=9)
def non_zero(x: Value) -> Value:
    """The indices of what is not 0, a column each."""
    places: Value = nd.host(selection.non_zero, [x], [(None, "int64")])[0]
    return places


@op("Compress", since=9)
def compress(x: Value, condition: Value, *, axis: int | None) -> Value:
    """The elements, or slices along an axis, where a condition holds."""
    if axis is None:
        x, axis = nd.reshape(x, [x.size]), 0
    axis = nd.normal_axis(axis, x.rank)
    if condition.node is not None and condition.node.kind == "feed" and condition.size <= SMALL:
        nd.known(condition)  # flags that a caller feeds, like axes or sizes
    places: Value = nd.host(selection.true_indices, [condition], [(None, "int64")], limit=x.shape[axis])[0]
    return _take(x, places, axis)


def _take(x: Value, places: Value, axis: int) -> Value:
    shape = (*x.shape[:axis], places.size, *x.shape[axis + 1 :])
    if nd.all_known(x, places) or x.dtype not in CARRIERS:
        taken: Value = nd.host(selection.take, [x, places], [(shape, x.dtype)], axis=axis)[0]
        return taken
    if x.dtype == "bool":
        return nd.cast(_take(nd.cast(x, "uint8"), places, axis), "bool")
    return nd.emit("take", [x, places], shape, x.dtype, axis=axis, mode="clip")


@op("Unique", since=11)
def unique(x: Value, *, axis: int | None, sorted: int) -> tuple[Value, ...]:
    """The different elements or slices, their first places, each one's place among them, and counts."""
    if axis is not None:
        axis = nd.normal_axis(axis, x.rank)
    outputs: list[tuple[tuple[int, ...] | None, str]] = [(None, x.dtype), (None, "int64"), (None, "int64"), (None, "int64")]
    return tuple(nd.host(selection.unique, [x], outputs, axis=axis, sorted=sorted, unsigned=x.dtype == "uint64"))


@op("NonMaxSuppression", since=10)
def non_max_suppression(
    box: Value,
    scores: Value,
    limit: Value | None = None,
    iou_threshold: Value | None = None,
    score_threshold: Value | None = None,
    *,
    center_point_box: int,
) -> Value:
    """Batch, class and index of the boxes that no better box of their class overlaps."""
    fits = box.rank == scores.rank == 3 and box.shape == (scores.shape[0], scores.shape[2], 4)
    if not fits:
        raise InvalidInput(f"boxes of {list(box.shape)} do not go with scores of {list(scores.shape)}")
    inputs = [box, scores, limit, iou_threshold, score_threshold]
    rows: Value = nd.host(boxes.non_max_suppression, inputs, [(None, "int64")], center_point_box=center_point_box)[0]
    return rows


@op("ImageDecoder", since=20, limits="8 bits a channel")
def image_decoder(encoded: Value, *, pixel_format: str) -> Value:
    """The pixels of an encoded picture."""
    pixels: Value = nd.host(pictures.decode, [encoded], [(None, "uint8")], pixel_format=pixel_format)[0]
    return pixels
