"""Pooling and reductions where MXNet has a faster operator for the same."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.fusion.channels import BLOCK, BLOCKED, scale_channels
from onnx_import.fusion.layouts import order_of, reshaped
from onnx_import.fusion.rewriting import Place, Rewriting, Rules, array_of, derived, dtype_of, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

MOST_COMPARED = 4
LARGEST_TABLE = 1 << 20


def few_compared(rewriting: Rewriting, node: TapeNode) -> bool:
    """The largest or smallest of up to four along the last axis, by as many slices: MXNet's reduction takes longer."""
    source, shape = node.inputs[0], shape_of(node.inputs[0])
    last = len(shape) - 1
    is_short = last > 0 and 2 <= shape[last] <= MOST_COMPARED and node.attrs.get("axis") == spell((last,))
    if not is_short or dtype_of(source) != "float32":
        return False
    pairwise = "_npi_maximum" if node.op == "max" else "_npi_minimum"
    kept = (*shape[:last], 1)
    bounds = [{"axis": last, "begin": at, "end": at + 1} for at in range(shape[last])]
    parts = [rewriting.make("slice_axis", [source], (node, 0), kept, **each) for each in bounds]
    result = parts[0]
    for part in parts[1:]:
        result = rewriting.make(pairwise, [result, part], (node, 0), kept)
    if node.attrs.get("keepdims") != "True":
        result = rewriting.make("Reshape", [result], (node, 0))
        result[0].attrs["shape"] = spell([0] * (last - 1) + [-1])
    return rewriting.replace((node, 0), result)


def of_image(rewriting: Rewriting, node: TapeNode) -> bool:
    """The largest of each channel of an image turned to have its channels last is a pooling of it as it was."""
    turned = node_of(node.inputs[0], "transpose")
    if turned is None or order_of(turned) != (0, 2, 3, 1) or node.attrs.get("axis") != spell((1, 2)):
        return False
    image = turned.inputs[0]
    if dtype_of(image) != "float32" or node_of(image, *BLOCKED, "Activation") is None or node.attrs.get("keepdims") == "True":
        return False
    sizes = (*shape_of(image)[:2], 1, 1)
    pooled = rewriting.make("Pooling", [image], (node, 0), sizes, global_pool=True, kernel=(1, 1), pool_type="max")
    new = reshaped(rewriting, pooled, shape_of((node, 0)), (node, 0))
    return new is not None and rewriting.replace((node, 0), new)


def of_row(rewriting: Rewriting, node: TapeNode) -> bool:
    """A pooling along one axis, of what oneDNN did not lay out, gets a filter of 1 a channel in front: plain rows take long."""
    place, shape = node.inputs[0], shape_of(node.inputs[0])
    if len(shape) != 4 or shape[2] != 1 or shape[1] % BLOCK or dtype_of(place) != "float32" or node.attrs["pool_type"] == "sum":
        return False
    source = place
    while node_of(source, "Activation", "LeakyReLU", "clip", "elemwise_add"):
        source = source[0].inputs[0]
    if node_of(source, *BLOCKED, "Concat") is not None:
        return False
    laid_out = scale_channels(rewriting, place, place, np.ones(shape[1]))
    new = rewriting.make("Pooling", [laid_out], (node, 0))
    new[0].attrs = dict(node.attrs)
    return rewriting.replace((node, 0), new)


def looked_up(rewriting: Rewriting, node: TapeNode) -> bool:
    """One-hot rows times a matrix are rows of the matrix, and zeros where a number is none of its rows'."""
    found = _one_hot(node.inputs[0])
    weight = array_of(node.inputs[1])
    bias = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
    if found is None or weight is None or weight.size > LARGEST_TABLE or (len(node.inputs) > 2 and bias is None):
        return False
    count, like = weight.shape[1], (node, 0)
    kept = shape_of(found)[:-1]

    def table(values: Array, *shift: Array) -> Array:
        rows = np.pad(values.T, ((1, 1), (0, 0)))
        return np.ascontiguousarray(rows + shift[0] if shift else rows)

    rows = rewriting.constant(derived(table, *[weight, *([] if bias is None else [bias])]), node.inputs[1], "float32")
    numbers = rewriting.make("Reshape", [found], found, kept)
    numbers[0].attrs["shape"] = spell([0] * (len(kept) - 1) + [-1]) if len(kept) > 1 else spell((-1,))
    bounded = rewriting.make("clip", [numbers], numbers, a_min=-1, a_max=count)
    whole = rewriting.make("floor", [bounded], numbers)
    is_whole = rewriting.make("_npi_equal", [whole, numbers], numbers)
    is_whole[0].outputs = [(kept, "bool")]
    moved = rewriting.make("_plus_scalar", [whole], numbers, scalar=1.0)
    none = rewriting.constant(np.zeros(()), numbers, "float32")
    index = rewriting.make("_npi_where", [is_whole, moved, none], numbers)
    return rewriting.replace(like, rewriting.make("take", [rows, index], like, axis=0, mode="clip"))


def _one_hot(place: Place) -> Place | None:
    """The float32 numbers, with a last axis of 1, that a mask compares with 0, 1, 2, ... along its last axis."""
    cast = node_of(place, "Cast")
    mask = node_of(cast.inputs[0], "_npi_equal") if cast is not None else None
    if mask is None or dtype_of(place) != "float32":
        return None
    for numbers, places in (mask.inputs, mask.inputs[::-1]):
        array, sizes = array_of(places), shape_of(place)
        if array is None or not array.ndim or not array.shape[-1] == array.size == sizes[-1]:
            continue
        is_count = np.array_equal(array.reshape(-1), np.arange(array.size))
        if is_count and dtype_of(numbers) == "float32" and shape_of(numbers) == (*sizes[:-1], 1) and len(sizes) > 1:
            return numbers
    return None


def flat(rewriting: Rewriting, node: TapeNode) -> bool:
    """A product of matrices flattens its rows itself."""
    source = node_of(node.inputs[0], "Reshape", "_np_reshape")
    if source is None or node.attrs.get("flatten") != "False" or not rewriting.is_private((source, 0)):
        return False
    base, shape = source.inputs[0], shape_of(node.inputs[0])
    sizes = shape_of(base)
    if len(shape) != 2 or len(sizes) < 3 or shape[0] != sizes[0] or dtype_of(base) != "float32":
        return False
    new = rewriting.make("FullyConnected", [base, *node.inputs[1:]], (node, 0))
    new[0].attrs = {**node.attrs, "flatten": "True"}
    return rewriting.replace((node, 0), new)


RULES: Rules = {
    "max": [few_compared, of_image],
    "min": [few_compared],
    "Pooling": [of_row],
    "FullyConnected": [looked_up, flat],
}
