"""Convolutions and transposed convolutions over one to three axes."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_import import nd
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.nd import Value
from onnx_import.nd.windows import Windows, place_windows
from onnx_import.registry import op

Sizes = Sequence[int] | None
LIMITS = "1 to 3 spatial axes"


@op("Conv", since=1, limits=LIMITS)
def conv(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    auto_pad: str,
    dilations: Sizes,
    group: int,
    kernel_shape: Sizes,
    pads: Sizes,
    strides: Sizes,
) -> Value:
    """Cross-correlation with filters, plus a bias."""
    kernel = _kernel(x, weight, kernel_shape)
    places = {"strides": strides, "dilations": dilations, "pads": pads}
    windows = place_windows(x.shape[2:], kernel, places, auto_pad)
    if weight.shape[1] * group != x.shape[1] or weight.shape[0] % group:
        raise InvalidInput(f"filters of shape {list(weight.shape)} in {group} groups do not fit {x.shape[1]} channels")
    return nd.convolution(x, weight, bias, windows, group)


@op("ConvTranspose", since=1, limits=LIMITS)
def conv_transpose(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    auto_pad: str,
    dilations: Sizes,
    group: int,
    kernel_shape: Sizes,
    output_padding: Sizes,
    output_shape: Sizes,
    pads: Sizes,
    strides: Sizes,
) -> Value:
    """The gradient of a convolution: each element spreads over a window."""
    kernel = _kernel(x, weight, kernel_shape)
    rank = len(kernel)
    if x.shape[1] != weight.shape[0] or x.shape[1] % group:
        raise InvalidInput(f"filters of shape {list(weight.shape)} in {group} groups do not fit {x.shape[1]} channels")
    strides, dilations = tuple(strides or (1,) * rank), tuple(dilations or (1,) * rank)
    pads, more = tuple(pads or (0,) * 2 * rank), tuple(output_padding or (0,) * rank)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    full = [(n - 1) * s + m + e for n, s, m, e in zip(x.shape[2:], strides, more, extents, strict=True)]
    before, sizes = pads[:rank], [f - a - b for f, a, b in zip(full, pads[:rank], pads[rank:], strict=True)]
    if auto_pad == "VALID":
        before, sizes = (0,) * rank, full
    if auto_pad.startswith("SAME"):
        sizes = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if output_shape:
        sizes = list(output_shape)[-rank:]
    if auto_pad.startswith("SAME") or output_shape:
        totals = [f - n for f, n in zip(full, sizes, strict=True)]
        before = tuple(t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in totals)
    if min(sizes, default=1) < 1:
        raise InvalidInput(f"pads {pads} leave nothing of an output of {full}")
    windows = Windows(tuple(sizes), tuple(kernel), strides, dilations, before, (0,) * rank, x.shape[2:])
    return nd.deconvolution(x, weight, bias, windows, group)


def _kernel(x: Value, weight: Value, kernel_shape: Sizes) -> tuple[int, ...]:
    """The sizes of a filter, once they are known to fit."""
    if not 3 <= x.rank <= 5:
        raise Unsupported(f"convolves over {x.rank - 2} axes; MXNet convolves over one to three")
    if weight.rank != x.rank or (kernel_shape and tuple(kernel_shape) != weight.shape[2:]):
        raise InvalidInput(f"filters of shape {list(weight.shape)} do not fit {x.rank} axes and kernel_shape {kernel_shape}")
    return weight.shape[2:]
