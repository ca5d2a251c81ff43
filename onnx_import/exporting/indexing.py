"""Parts of tensors: slices, rows by number, reversed axes."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_import.exporting.build import Refused, Use, mx

END = 2**63 - 1


def _bounds(begin: Sequence[int | None], end: Sequence[int | None], step: Sequence[int | None]) -> tuple[list[int], ...]:
    """Starts, ends and steps without gaps: an open bound is as far as its step goes."""
    steps = [1 if each in (None, 0) else int(each or 1) for each in step]
    starts = [(0 if s > 0 else END) if b is None else b for b, s in zip(begin, steps, strict=True)]
    ends = [(END if s > 0 else -END) if e is None else e for e, s in zip(end, steps, strict=True)]
    return starts, ends, steps


def _listed(use: Use, name: str) -> list[int | None]:
    found = use.get(name, ())
    return list(found) if isinstance(found, tuple | list) else [None if found == "None" else found]


@mx("slice", "crop", "_npi_slice")
def cut(use: Use) -> str:
    """Slice along the first axes."""
    begin, end, step = (_listed(use, name) for name in ("begin", "end", "step"))
    starts, ends, steps = _bounds(begin, end, step or [None] * len(begin))
    return use.emit("Slice", use.inputs[0], *(use.const(each) for each in (starts, ends, list(range(len(starts))), steps)))


@mx("slice_axis")
def slice_axis(use: Use) -> str:
    """Slice along one axis."""
    begin, end = use.get("begin", 0), use.get("end")
    starts, ends, _ = _bounds([begin], [None if end == "None" else end], [1])
    return use.emit("Slice", use.inputs[0], use.const(starts), use.const(ends), use.const([int(use.get("axis"))]))


@mx("slice_like")
def slice_like(use: Use) -> str:
    """The beginning, as large as another tensor along some axes."""
    rank = len(use.shape)
    axes = [axis % rank for axis in use.ints("axes")] or list(range(rank))
    sizes = use.emit("Gather", use.emit("Shape", use.inputs[1]), use.const(axes))
    return use.emit("Slice", use.inputs[0], use.const([0] * len(axes)), sizes, use.const(axes))


@mx("reverse", "flip", "_npi_flip")
def reverse(use: Use) -> str:
    """Axes backwards."""
    axes = use.ints("axis") or list(range(len(use.shape)))
    count = len(axes)
    return use.emit(
        "Slice", use.inputs[0], use.const([-1] * count), use.const([-END] * count), use.const(axes), use.const([-1] * count)
    )


@mx("take")
def take(use: Use) -> str:
    """Gather; indices beyond the ends go to the ends, or around."""
    axis, mode = int(use.get("axis", 0)), use.get("mode", "clip")
    return use.emit("Gather", use.inputs[0], _inside(use, 1, use.shapes[0][axis], mode), axis=axis)


def _inside(use: Use, at: int, size: int, mode: str) -> str:
    """Indices as MXNet brings them into range."""
    index, known = use.index(at), use.known(at)
    if known is not None and known.size and known.min() >= 0 and known.max() < size:
        return index
    if mode == "wrap":
        return use.emit("Mod", index, use.const(size))
    if mode == "raise":
        return index
    return use.emit("Clip", index, use.const(0), use.const(size - 1))


@mx("Embedding")
def embedding(use: Use) -> str:
    """Rows of a table; numbers beyond its ends get its first or last row."""
    return use.emit("Gather", use.inputs[1], _inside(use, 0, use.shapes[1][0], "clip"), axis=0)


@mx("pick")
def pick(use: Use) -> str:
    """One element of each line."""
    rank = len(use.shapes[0])
    axis = int(use.get("axis", -1)) % rank
    index = _inside(use, 1, use.shapes[0][axis], use.get("mode", "clip"))
    if len(use.shapes[1]) < rank:
        index = use.emit("Unsqueeze", index, use.const([axis]))
    found = use.emit("GatherElements", use.inputs[0], index, axis=axis)
    return found if use.flag("keepdims") else use.emit("Squeeze", found, use.const([axis]))


@mx("gather_nd")
def gather_nd(use: Use) -> str:
    """Elements at tuples of indices, which lie along the first axis here and along the last in ONNX."""
    rank = len(use.shapes[1])
    index = use.emit("Transpose", use.index(1), perm=[*range(1, rank), 0])
    return use.emit("GatherND", use.inputs[0], index)


@mx("one_hot", "_npx_one_hot")
def one_hot(use: Use) -> str:
    """A row of zeros with a one in it."""
    values = use.const([float(use.get("off_value", 0.0)), float(use.get("on_value", 1.0))], use.dtype)
    depth, index = int(use.get("depth")), use.index(0)
    # ONNX counts negative numbers from the end, MXNet gives them no one.
    index = use.emit("Where", use.emit("Less", index, use.const(0)), use.const(depth), index)
    return use.emit("OneHot", index, use.const(depth), values, axis=-1)


@mx("topk")
def topk(use: Use) -> list[str]:
    """The largest or smallest, sorted: values, indices, or both."""
    axis, kind = use.get("axis", -1), use.get("ret_typ", "indices")
    if kind == "mask" or axis in (None, "None"):
        raise Refused("it gives a mask or takes all axes at once")
    axis = int(axis)
    count = int(use.get("k", 1)) or use.shapes[0][axis]
    largest = int(not use.flag("is_ascend"))
    values, index = use.emit_many("TopK", [use.inputs[0], use.const([count])], 2, axis=axis, largest=largest)
    if kind == "value":
        return [values]
    kinds = [use.source.dtypes[use.at, at] for at in range(use.outputs)]
    numbers = use.cast(index, "int64", kinds[-1])
    return [values, numbers] if kind == "both" else [numbers]


@mx("sort", "argsort", "_npi_argsort")
def sort(use: Use) -> str:
    """A whole axis in order."""
    axis, value, size = use.get("axis", -1), use.inputs[0], use.shapes[0]
    if axis in (None, "None"):
        raise Refused("it sorts all axes at once")
    count = use.const([size[int(axis)]])
    largest = int(not use.flag("is_ascend", True))
    values, index = use.emit_many("TopK", [value, count], 2, axis=int(axis), largest=largest)
    return values if use.node.op == "sort" else use.cast(index, "int64", use.dtype)


@mx("SequenceReverse")
def sequence_reverse(use: Use) -> str:
    """Time backwards, of each sample up to its length."""
    if not use.flag("use_sequence_length"):
        return use.emit("Slice", use.inputs[0], use.const([-1]), use.const([-END]), use.const([0]), use.const([-1]))
    return use.emit("ReverseSequence", use.inputs[0], use.index(1), time_axis=0, batch_axis=1)


@mx("_contrib_index_copy")
def index_copy(use: Use) -> str:
    """Rows replaced by others."""
    index = use.emit("Unsqueeze", use.index(1), use.const([1]))
    return use.emit("ScatterND", use.inputs[0], index, use.inputs[2])
