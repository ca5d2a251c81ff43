"""Shapes and the order of axes: nothing is computed. Sizes are written so that another batch fits where MXNet's do."""

from __future__ import annotations

import math

from onnx_import.exporting.build import Refused, Use, mx


@mx("Flatten", "flatten", "_npx_batch_flatten")
def flatten(use: Use) -> str:
    """Rows."""
    return use.emit("Flatten", use.inputs[0], axis=1)


@mx("Reshape", "reshape", "_np_reshape", "_npx_reshape", "_npi_reshape")
def reshape(use: Use) -> str:
    """Another shape, by MXNet's codes."""
    target = use.ints("shape") or use.ints("target_shape") or use.ints("newshape")
    if use.node.op.startswith("_np_") or use.node.op.startswith("_npi_"):
        return _to(use, [-1 if size < 0 else size for size in target], zero_keeps=False)
    if use.node.op == "_npx_reshape":
        target = _legacy_codes(target)
    if use.flag("reverse"):
        if -4 in target:
            raise Refused("it splits an axis while it counts from the end")
        turned = _resolved(use.shapes[0][::-1], target[::-1], len(use.shapes[0]) - 1)[::-1]
        # 0 copies the size at its own place, counted from the front.
        moved = len(turned) != len(use.shapes[0])
        return _to(use, [use.shape[at] if size == 0 and moved else size for at, size in enumerate(turned)], zero_keeps=True)
    return _to(use, _resolved(use.shapes[0], target, 0), zero_keeps=True)


def _legacy_codes(target: list[int]) -> list[int]:
    """The codes of `npx.reshape`: -2 copies a size, -4 all the rest, -5 merges two, -6 splits one."""
    if -3 in target:
        raise Refused("it drops an axis by the code -3")
    return [{-2: 0, -4: -2, -5: -3, -6: -4}.get(code, code) for code in target]


def _resolved(shape: tuple[int, ...], target: list[int], batch: int) -> list[int]:
    """ONNX's codes for MXNet's: 0 for a size that stays in its place, -1 once, numbers for the rest.

    A number that has the batch in it, axis `batch` of the input, is left to -1 where -1 is free.
    """
    found: list[int] = []
    rows: set[int] = set()
    at, codes = 0, iter(target)
    for code in codes:
        first, start = len(found), at
        if code in (0, -1):
            found.append(code if code or at == len(found) else shape[at])
        elif code == -2:
            found += [0 if at == len(found) else size for size in shape[at:]]
            at = len(shape) - 1
        elif code == -3:
            found.append(shape[at] * shape[at + 1])
            at += 1
        elif code == -4:
            one, other = next(codes), next(codes)
            found += [shape[at] // other if one == -1 else one, shape[at] // one if other == -1 else other]
        else:
            found.append(code)
        at += 1
        if code < -1 and start <= batch < at:
            rows.add(first)
    if len(rows) == 1 and -1 not in found and found[min(rows)] != 0:
        found[min(rows)] = -1
    return found


def _to(use: Use, target: list[int], zero_keeps: bool) -> str:
    """Reshape by ONNX's codes."""
    if not zero_keeps and 0 in target:
        return use.emit("Reshape", use.inputs[0], use.const(target), allowzero=1 if use.build.opset >= 14 else None)
    return use.emit("Reshape", use.inputs[0], use.const(target))


@mx("reshape_like", "_npx_reshape_like")
def reshape_like(use: Use) -> str:
    """The shape of another tensor."""
    if any(use.get(name) not in (None, "None") for name in ("lhs_begin", "lhs_end", "rhs_begin", "rhs_end")):
        return use.emit("Reshape", use.inputs[0], use.const(list(use.shape)))
    return use.emit("Reshape", use.inputs[0], use.emit("Shape", use.inputs[1]))


@mx("transpose", "_np_transpose", "_npi_transpose")
def transpose(use: Use) -> str:
    """Axes in another order, reversed where none is named."""
    rank = len(use.shape)
    axes = [axis % rank for axis in use.ints("axes")]
    return use.emit("Transpose", use.inputs[0], perm=axes or list(reversed(range(rank))))


@mx("SwapAxis", "swapaxes", "_npi_swapaxes")
def swap_axis(use: Use) -> str:
    """Two axes exchanged."""
    order = list(range(len(use.shape)))
    one, other = int(use.get("dim1", 0)), int(use.get("dim2", 0))
    order[one], order[other] = order[other], order[one]
    return use.emit("Transpose", use.inputs[0], perm=order)


@mx("expand_dims", "_npi_expand_dims")
def expand_dims(use: Use) -> str:
    """One axis more."""
    return use.emit("Unsqueeze", use.inputs[0], use.const([int(use.get("axis"))]))


@mx("squeeze", "_np_squeeze", "_npi_squeeze")
def squeeze(use: Use) -> str:
    """Axes of size 1 less."""
    axes = use.ints("axis") or [axis for axis, size in enumerate(use.shapes[0]) if size == 1]
    found = use.emit("Squeeze", use.inputs[0], use.const(axes)) if axes else use.emit("Identity", use.inputs[0])
    # Legacy operators have no scalars.
    return found if len(use.shapes[0]) - len(axes) == len(use.shape) else use.emit("Reshape", found, use.const(list(use.shape)))


@mx("Concat", "concat", "_npi_concatenate", "_rnn_param_concat")
def concat(use: Use) -> str:
    """Concat."""
    axis = use.get("dim") if use.get("dim") is not None else use.get("axis", 1 if "oncat" in use.node.op[:6] else 0)
    values = [use.cast(value, kind, use.dtype) for value, kind in zip(use.inputs, use.dtypes, strict=True)]
    if axis in (None, "None"):
        values, axis = [use.emit("Reshape", value, use.const([-1])) for value in values], 0
    return use.emit("Concat", *values, axis=int(axis))


@mx("stack", "_npi_stack")
def stack(use: Use) -> str:
    """A new axis along which the inputs lie."""
    axis = int(use.get("axis", 0))
    return use.emit("Concat", *(use.emit("Unsqueeze", value, use.const([axis])) for value in use.inputs), axis=axis)


@mx("SliceChannel", "split")
def slice_channel(use: Use) -> list[str]:
    """Equal pieces."""
    count, axis = int(use.get("num_outputs")), int(use.get("axis", 1))
    sizes = [use.shapes[0][axis] // count] * count
    return _pieces(use, sizes, axis)


@mx("_split_v2", "_npi_split")
def split(use: Use) -> list[str]:
    """Pieces between indices, or equal ones."""
    axis, size = int(use.get("axis", 1 if use.node.op == "_split_v2" else 0)), 0
    size, sections = use.shapes[0][axis], int(use.get("sections", 0))
    cuts = [size // sections * at for at in range(sections)] if sections else use.ints("indices")
    if cuts and cuts[0] != 0:
        cuts = [0, *cuts]
    return _pieces(use, [b - a for a, b in zip(cuts, [*cuts[1:], size], strict=True)], axis)


def _pieces(use: Use, sizes: list[int], axis: int) -> list[str]:
    parts = use.emit_many("Split", [use.inputs[0], use.const(sizes)], len(sizes), axis=axis)
    if not use.flag("squeeze_axis"):
        return parts
    return [use.emit("Squeeze", part, use.const([axis])) for part in parts]


@mx("broadcast_to", "_np_broadcast_to", "_npi_broadcast_to")
def broadcast_to(use: Use) -> str:
    """Expand; a 0 of the legacy operator keeps a size, as 1 does to ONNX."""
    target = [1 if size in (0, -1) else size for size in use.ints("shape")]
    return use.emit("Expand", use.inputs[0], use.const(target))


@mx("broadcast_axis", "broadcast_axes")
def broadcast_axis(use: Use) -> str:
    """Axes of size 1 made larger."""
    target = [1] * len(use.shape)
    for axis, size in zip(use.ints("axis"), use.ints("size"), strict=True):
        target[axis] = size
    return use.emit("Expand", use.inputs[0], use.const(target))


@mx("broadcast_like")
def broadcast_like(use: Use) -> str:
    """The shape of another tensor."""
    if use.ints("lhs_axes"):
        target = [size if axis in use.ints("lhs_axes") else 1 for axis, size in enumerate(use.shape)]
        return use.emit("Expand", use.inputs[0], use.const(target))
    return use.emit("Expand", use.inputs[0], use.emit("Shape", use.inputs[1]))


@mx("tile", "_npi_tile")
def tile(use: Use) -> str:
    """Tile; axes that are missing on either side come first."""
    repeats, rank, value = use.ints("reps"), len(use.shapes[0]), use.inputs[0]
    if len(repeats) > rank:
        value = use.emit("Unsqueeze", value, use.const(list(range(len(repeats) - rank))))
    return use.emit("Tile", value, use.const([1] * (rank - len(repeats)) + repeats))


@mx("repeat", "_np_repeat", "_npi_repeats")
def repeat(use: Use) -> str:
    """Each element several times."""
    axis, value, shape = use.get("axis"), use.inputs[0], list(use.shapes[0])
    count = math.prod(use.ints("repeats"))
    if axis in (None, "None"):
        value, shape, axis = use.emit("Reshape", value, use.const([-1])), [math.prod(shape)], 0
    axis = int(axis) % len(shape)
    wide = use.emit("Unsqueeze", value, use.const([axis + 1]))
    wide = use.emit("Tile", wide, use.const([count if at == axis + 1 else 1 for at in range(len(shape) + 1)]))
    # 0 keeps what is before the axis.
    return use.emit("Reshape", wide, use.const([0] * axis + [shape[axis] * count if axis else -1, *shape[axis + 1 :]]))


@mx("Pad", "pad", "_npi_pad")
def pad(use: Use) -> str:
    """Pad; numpy's operator ignores its value in this MXNet and pads with zeros."""
    widths = use.ints("pad_width") if use.node.op != "_npi_pad" else [n for pair in use.get("pad_width") for n in pair]
    mode = use.get("mode", "constant")
    pads = use.const([*widths[::2], *widths[1::2]])
    value = float(use.get("constant_value", 0)) if use.node.op != "_npi_pad" else 0.0
    fill = [use.const(value, use.dtype)] if mode == "constant" else []
    return use.emit("Pad", use.inputs[0], pads, *fill, mode=mode)


@mx("depth_to_space", "space_to_depth")
def blocks(use: Use) -> str:
    """DepthToSpace and its inverse."""
    op = "DepthToSpace" if use.node.op == "depth_to_space" else "SpaceToDepth"
    return use.emit(op, use.inputs[0], blocksize=int(use.get("block_size")))


@mx("shape_array", "size_array")
def shape_of(use: Use) -> str:
    """Sizes as numbers."""
    if use.node.op == "shape_array":
        return use.emit("Shape", use.inputs[0])
    return use.emit("Reshape", use.emit("Size", use.inputs[0]), use.const([1]))
