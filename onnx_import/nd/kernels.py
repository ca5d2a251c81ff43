"""Convolutions in a form that oneDNN has a fast kernel for; the sums are the same but for their order.

Its kernels work on 16 filters at a time. With fewer, neighbouring outputs of a row are made filters of their own: of B outputs each
sees the same window moved by a stride, so that B shifted copies of a filter in one wider kernel give B outputs a step:

    out[j] = sum_i w[i] x[j*s + i]    ->    out[B*b + r] = sum_i W[r, i] x[B*b*s + i],   W[r] = (0,) * r*s + w + zeros

It multiplies by some zeros (B-1 strides more a row), and runs 3 to 250 times as fast. And a column is laid down as a row.
"""

from __future__ import annotations

import numpy as np

from onnx_import.nd.shaping import pad, reshape, slice_axis, transpose
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

FILTERS = 16
WIDE = 16
"""Kernels from this width on make twice as many copies: the zeros weigh little."""
WORTH = 1 << 20
"""Multiplications from which rearranging pays for the moves around it."""

Pair = tuple[int, int]


def rearranged(x: Value, weight: Value, bias: Value | None, strides: Pair, padding: Pair) -> Value | None:
    """A 2-d convolution of one group without dilation in a faster form; None where the plain one is as fast.

    `x` (N, C, H, W), `weight` (M, C, h, w), known.
    """
    if weight.data is None or x.dtype != "float32":
        return None
    sizes = [
        (size + 2 * margin - k) // s + 1
        for size, margin, k, s in zip(x.shape[2:], padding, weight.shape[2:], strides, strict=True)
    ]
    if weight.size * sizes[0] * sizes[1] < WORTH:
        return None
    if x.shape[3] == 1 and weight.shape[3] == 1 and not padding[1] and x.shape[2] > 1:
        row = [constant(weight.data.transpose(0, 1, 3, 2))] + ([bias] if bias is not None else [])
        lying = reshape(x, (*x.shape[:2], 1, x.shape[2]))
        made = _plain(lying, row, (1, strides[0]), (0, padding[0]), (1, sizes[0]))
        return reshape(made, (x.shape[0], weight.shape[0], sizes[0], 1))
    filters, width = weight.shape[0], weight.shape[3]
    copies = (2 * FILTERS if width >= WIDE else FILTERS) // filters
    if copies < 2 or width < 3 or sizes[1] < 2 * copies:
        return None
    return _in_blocks(x, weight, bias, (strides, padding), (sizes, copies))


def _in_blocks(x: Value, weight: Value, bias: Value | None, place: tuple[Pair, Pair], blocks: tuple[list[int], int]) -> Value:
    """`copies` outputs of a row at each step of a kernel that holds so many shifted copies of each filter."""
    (strides, padding), (sizes, copies) = place, blocks
    assert weight.data is not None
    filters, channels, height, width = weight.shape
    step = strides[1]
    wide = np.zeros((filters, copies, channels, height, width + (copies - 1) * step), np.float32)
    for copy in range(copies):
        wide[:, copy, :, :, copy * step : copy * step + width] = weight.data
    steps = -(-sizes[1] // copies)
    needed = (steps - 1) * copies * step + wide.shape[-1]
    end = needed - x.shape[3] - padding[1]
    x = slice_axis(x, 3, 0, x.shape[3] + min(end, 0))
    x = pad(x, (0, 0, 0, padding[1]), (0, 0, 0, max(end, 0)))
    inputs = [constant(wide.reshape(filters * copies, channels, height, -1))]
    if bias is not None:
        inputs.append(reshape(_repeated(bias, copies), (filters * copies,)))
    made = _plain(x, inputs, (strides[0], copies * step), (padding[0], 0), (sizes[0], steps))
    if filters == 1:  # (N, B, H, steps) -> (N, 1, H, steps * B)
        rows = transpose(made, (0, 2, 3, 1))
    else:
        rows = transpose(reshape(made, (x.shape[0], filters, copies, sizes[0], steps)), (0, 1, 3, 4, 2))
    return slice_axis(reshape(rows, (x.shape[0], filters, sizes[0], steps * copies)), 3, 0, sizes[1])


def _repeated(bias: Value, copies: int) -> Value:
    if bias.data is not None:
        return constant(np.repeat(bias.data[:, None], copies, 1))
    return emit(
        "broadcast_to", [reshape(bias, (*bias.shape, 1))], (bias.shape[0], copies), bias.dtype, shape=(bias.shape[0], copies)
    )


def _plain(x: Value, inputs: list[Value], strides: Pair, padding: Pair, sizes: Pair | list[int]) -> Value:
    weight = inputs[0]
    return emit(
        "Convolution",
        [x, *inputs],
        (x.shape[0], weight.shape[0], *sizes),
        x.dtype,
        kernel=weight.shape[2:],
        stride=strides,
        pad=padding,
        num_filter=weight.shape[0],
        no_bias=len(inputs) < 2,
    )
