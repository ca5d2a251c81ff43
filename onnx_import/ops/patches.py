"""Col2Im and DeformConv: patches of images laid over one another, and convolutions whose taps wander."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.nd import Value
from onnx_import.registry import op


@op("Col2Im", since=18)
def col2im(
    x: Value,
    image_shape: Value,
    block_shape: Value,
    *,
    dilations: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Value:
    """Blocks, which are columns, added up where they overlap in an image."""
    sizes, block = nd.ints(image_shape), nd.ints(block_shape)
    rank = len(sizes)
    spread, steps, around = dilations or [1] * rank, strides or [1] * rank, pads or [0] * (2 * rank)
    if not len(block) == len(spread) == len(steps) == len(around) // 2 == rank:
        raise InvalidInput(
            f"block {block}, dilations {spread}, strides {steps} and pads {around} do not fit an image of {sizes}"
        )
    padded = [size + around[axis] + around[axis + rank] for axis, size in enumerate(sizes)]
    counts = [(length - (b - 1) * d - 1) // s + 1 for length, b, d, s in zip(padded, block, spread, steps, strict=True)]
    channels = x.shape[1] // math.prod(block) if x.rank == 3 else 0
    if x.rank != 3 or x.shape[1] != channels * math.prod(block) or x.shape[2] != math.prod(counts):
        raise InvalidInput(f"columns of shape {list(x.shape)} do not make an image of {sizes} of blocks of {block}")
    if 0 in x.shape:
        return nd.zeros((x.shape[0], channels, *sizes), x.dtype)
    places = _places(padded, (block, spread), (counts, steps))
    # Places of a block come in front of the blocks; both are one axis then, whose elements are added up.
    lines = nd.reshape(x, [x.shape[0] * channels, math.prod(block) * math.prod(counts)])
    rows = nd.transpose(nd.widen(lines), [1, 0])
    empty = nd.zeros((math.prod(padded), rows.shape[1]), rows.dtype)
    image = nd.transpose(nd.put(empty, nd.constant(places), rows, "add"), [1, 0])
    image = nd.cast(nd.reshape(image, [x.shape[0], channels, *padded]), x.dtype)
    inner = [range(around[axis], around[axis] + size) for axis, size in enumerate(sizes)]
    return nd.slices(image, [range(x.shape[0]), range(channels), *inner])


def _places(padded: Sequence[int], blocks: tuple[Sequence[int], ...], counts: tuple[Sequence[int], ...]) -> Array:
    """Where in the image each element of each block lies, elements of a block first."""
    (block, spread), (numbers, steps) = blocks, counts
    places = np.zeros((1, 1), np.int64)
    for length, b, d, n, s in zip(padded, block, spread, numbers, steps, strict=True):
        own = np.arange(b)[:, None] * d + np.arange(n) * s
        shape = (places.shape[0], b, places.shape[1], n)
        grown = places[:, None, :, None] * length + own[None, :, None, :]
        places = np.broadcast_to(grown, shape).reshape(shape[0] * b, shape[2] * n)
    return places.ravel()


@op("DeformConv", since=19, limits="images only (4 axes)")
def deform_conv(
    x: Value,
    weight: Value,
    offset: Value,
    bias: Value | None = None,
    mask: Value | None = None,
    *,
    dilations: list[int] | None,
    group: int,
    kernel_shape: list[int] | None,
    offset_group: int,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Value:
    """A convolution each of whose taps is moved by an offset of its own, and weighed by a mask."""
    if x.rank != 4:
        raise Unsupported(f"a deformable convolution of {x.rank - 2} spatial axes", "MXNet has it for images")
    kernel, around = weight.shape[2:], pads or [0] * 4
    if kernel_shape is not None and tuple(kernel_shape) != tuple(kernel):
        raise InvalidInput(f"kernel_shape {kernel_shape} is not that of the weight, {list(kernel)}")
    wide = nd.pad(nd.widen(x), [0, 0, *around[:2]], [0, 0, *around[2:]])
    spread, steps = dilations or [1, 1], strides or [1, 1]
    sizes = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(wide.shape[2:], kernel, spread, steps, strict=True)]
    if offset.shape != (x.shape[0], offset_group * math.prod(kernel) * 2, *sizes) or weight.shape[1] * group != x.shape[1]:
        raise InvalidInput(f"offsets of shape {list(offset.shape)} do not fit {list(x.shape)} and weights {list(weight.shape)}")
    shape = (x.shape[0], weight.shape[0], *sizes)
    if 0 in shape or 0 in x.shape:
        return nd.zeros(shape, x.dtype)
    masks = (x.shape[0], offset_group * math.prod(kernel), *sizes)
    shares = nd.full(masks, 1.0, wide.dtype) if mask is None else nd.widen(mask)
    attrs = {"kernel": tuple(kernel), "stride": tuple(steps), "dilate": tuple(spread), "num_group": group}
    product = _wandering(wide, [nd.widen(offset), shares], nd.widen(weight), offset_group, attrs)
    if bias is not None:
        product = nd.add(product, nd.reshape(nd.widen(bias), [1, weight.shape[0], 1, 1]))
    return nd.cast(product, x.dtype)


def _wandering(x: Value, taps: list[Value], weight: Value, offset_group: int, attrs: dict[str, Any]) -> Value:
    """MXNet's operator, which wants a multiple of `offset_group` of filters: zeros are put behind those of each group."""
    group, filters = attrs["num_group"], weight.shape[0] // attrs["num_group"]
    batch, sizes = x.shape[0], taps[0].shape[2:]
    more = next(n for n in range(filters, filters + offset_group) if n * group % offset_group == 0)
    by_group = nd.reshape(weight, [group, filters, math.prod(weight.shape[1:])])
    padded = nd.pad(by_group, [0, 0, 0], [0, more - filters, 0])
    weight = nd.reshape(padded, [group * more, *weight.shape[1:]])
    settings = {"num_filter": group * more, "num_deformable_group": offset_group, "no_bias": True, "im2col_step": 1}
    shape = (batch, group * more, *sizes)
    product = nd.emit("_contrib_ModulatedDeformableConvolution", [x, *taps, weight], shape, x.dtype, **attrs, **settings)
    kept = nd.slice_axis(nd.reshape(product, [batch, group, more, math.prod(sizes)]), 2, 0, filters)
    return nd.reshape(kept, [batch, group * filters, *sizes])
