"""Zeros put around images: by the convolution behind them, or by one filter a channel, in oneDNN's layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.fusion.channels import LAID_OUT
from onnx_import.fusion.rewriting import Place, Rewriting, Rules, dtype_of, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

Widths = list[tuple[int, int]]


def widths_of(place: Place) -> Widths | None:
    """How many zeros are put before and behind each spatial axis; None where a place is no such padding."""
    node = node_of(place, "Pad")
    if node is None or node.attrs["mode"] != "constant" or float(node.attrs["constant_value"]) != 0:
        return None
    sizes = ints(node.attrs["pad_width"])
    pairs = list(zip(sizes[::2], sizes[1::2], strict=True))
    return None if any(pairs[0] + pairs[1]) or dtype_of(place) != "float32" else pairs[2:]


def ints(text: str) -> list[int]:
    """The numbers of an attribute."""
    return [int(part) for part in text.strip("()").split(",") if part.strip()]


def into_convolution(rewriting: Rewriting, node: TapeNode) -> bool:
    """A convolution pads both ends alike; what its last window does not reach need not be there."""
    place = node.inputs[0]
    widths = widths_of(place)
    if widths is None or not rewriting.is_private(place):
        return False
    base = place[0].inputs[0]
    own, kernel, strides = (ints(node.attrs[name]) for name in ("pad", "kernel", "stride"))
    holes = ints(node.attrs["dilate"]) if "dilate" in node.attrs else [1] * len(own)
    padding = [pad + before for pad, (before, _) in zip(own, widths, strict=True)]
    rows = zip(shape_of(base)[2:], padding, kernel, holes, strides, shape_of((node, 0))[2:], strict=True)
    if any((size + 2 * pad - (k - 1) * hole - 1) // step + 1 != out for size, pad, k, hole, step, out in rows):
        return False
    new = rewriting.make("Convolution", [base, *node.inputs[1:]], (node, 0))
    new[0].attrs = {**node.attrs, "pad": spell(padding)}
    return rewriting.replace((node, 0), new)


def by_filters(rewriting: Rewriting, node: TapeNode) -> bool:
    """One filter a channel that copies, with padding, where MXNet's own operator would leave oneDNN's layout.

    Uneven padding takes filters of more than one element, all 0 but one: only in front of convolutions, whose windows mix
    elements that are infinite with others anyway.
    """
    widths, place = widths_of((node, 0)), node.inputs[0]
    readers = {reader.op for reader in rewriting.readers((node, 0))}
    if widths is None or rewriting.is_head((node, 0)) or not readers <= {"Convolution", "Pooling"}:
        return False
    is_even = all(before == after for before, after in widths)
    if node_of(place, *LAID_OUT) is None or (not is_even and "Pooling" in readers):
        return False
    channels = shape_of(place)[1]
    kernel = [abs(before - after) + 1 for before, after in widths]
    weight: Array = np.zeros((channels, 1, *kernel), np.float32)
    weight[(slice(None), 0, *[max(after - before, 0) for before, after in widths])] = 1
    ones = (1,) * len(kernel)
    padding = [max(pair) for pair in widths]
    attrs: dict[str, Any] = {"kernel": kernel, "stride": ones, "dilate": ones, "pad": padding}
    attrs |= {"num_filter": channels, "num_group": channels, "no_bias": True}
    new = rewriting.make("Convolution", [place, rewriting.constant(weight, (node, 0), "float32")], (node, 0))
    new[0].attrs = {name: spell(value) for name, value in attrs.items()}
    return rewriting.replace((node, 0), new)


FIRST_RULES: Rules = {"Convolution": [into_convolution]}
RULES: Rules = {"Pad": [by_filters]}
