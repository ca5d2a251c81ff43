"""Seeded inputs for a model: what its types allow, of sizes that fit together.

    inputs' types -> sizes of open dimensions -> arrays

An open dimension of one name has one size in all inputs; the first axis counts rows wherever it is open and unnamed. What
sizes a model takes is not written in it (a convolution over sound needs thousands of samples), hence `ladder`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnx_import.dtypes import ONNX_NAMES, Array, bounds, is_float, is_integer, true_dtype
from onnx_import.graph import Dim, Type, ValueInfo
from onnx_import.vocabulary import KEYS, Column, speak, vocabulary

WORDS = np.array(["spam", "eggs", "Monday", "tree", "a b c", ""], object)

MOST = 9
"""The largest whole number that is drawn, unless it is a byte of a picture."""

MOST_ELEMENTS = 2**24
"""Elements of an input beyond which sizes are not tried."""

ROWS = "batch"
"""The name of rows without one."""

RUNGS = ((64, 8), (32, 32), (96, 12), (224, 128), (256, 512), (640, 4096), (320, 16000), (1, 1))
"""Sizes to try for open dimensions, in this order: of pictures' height and width, and of other axes."""


def inputs_of(model: Any) -> list[ValueInfo]:
    """What must be fed to an onnx.ModelProto or to a Graph."""
    if hasattr(model, "feeds"):
        return _with_rows(list(model.feeds))
    given = {tensor.name for tensor in model.graph.initializer}
    return _with_rows([ValueInfo(info.name, type_of(info.type)) for info in model.graph.input if info.name not in given])


def _with_rows(infos: list[ValueInfo]) -> list[ValueInfo]:
    """Inputs with the rows named in states of recurrent layers, (layers, rows, size), where others have rows without a name."""
    if not any(_is_open(shape[0]) for shape in (info.type.shape for info in infos) if shape):
        return infos
    return [
        replace(info, type=replace(info.type, shape=(shape[0], ROWS, shape[2])))
        if len(shape := info.type.shape or ()) == 3 and [_is_open(size) for size in shape] == [False, True, False]
        else info
        for info in infos
    ]


def _is_open(size: Dim) -> bool:
    """Whether a size is neither told nor named."""
    return size is None or (isinstance(size, int) and size < 0)


def type_of(proto: Any) -> Type:
    """The type that an onnx.TypeProto describes."""
    kind = str(proto.WhichOneof("value") or "tensor_type")
    if kind in ("sequence_type", "optional_type"):
        return Type(kind.removesuffix("_type"), element=type_of(getattr(proto, kind).elem_type))
    if kind == "map_type":
        return Type("map", ONNX_NAMES[proto.map_type.key_type], element=type_of(proto.map_type.value_type))
    tensor = getattr(proto, kind)
    shape = tuple(_dim(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return Type("tensor", ONNX_NAMES.get(tensor.elem_type, "float32"), shape)


def _dim(dim: Any) -> Dim:
    if dim.WhichOneof("value") == "dim_value":
        return int(dim.dim_value)
    return dim.dim_param or None


def open_dims(model: Any) -> dict[str, str]:
    """The open dimensions of a model's inputs: by name (`INPUT:AXIS` where there is none) their kind, batch, space or length."""
    found: dict[str, str] = {}
    for info in inputs_of(model):
        for axis, dim in enumerate(_innermost(info.type).shape or ()):
            if not isinstance(dim, int) or dim < 0:
                key = _key(info, axis, dim)
                found.setdefault(key, _kind(0 if key == ROWS else axis, len(_innermost(info.type).shape or ())))
    return found


def _innermost(kind: Type) -> Type:
    return kind if kind.element is None else _innermost(kind.element)


def _key(info: ValueInfo, axis: int, dim: Dim) -> str:
    if isinstance(dim, str):
        return dim
    return ROWS if axis == 0 else f"{info.name}:{axis}"


def _kind(axis: int, rank: int) -> str:
    if axis == 0:
        return "batch"
    return "space" if rank >= 4 else "length"


def ladder(model: Any, batch: int = 1) -> Iterator[dict[str, int]]:
    """Sizes to try, the likely ones first; one choice of nothing where no dimension is open."""
    dims = open_dims(model)
    seen: list[dict[str, int]] = []
    for space, length in RUNGS:
        sizes = {name: {"batch": batch, "space": space, "length": length}[kind] for name, kind in dims.items()}
        if sizes not in seen and (not seen or largest(model, sizes) <= MOST_ELEMENTS):
            seen.append(sizes)
            yield sizes


def largest(model: Any, sizes: Mapping[str, int]) -> int:
    """Elements of the largest input: of two axes of sound's length it would fill the memory."""
    return max((math.prod(_sizes(info, _innermost(info.type), sizes)) for info in inputs_of(model)), default=0)


def has_whole_numbers(model: Any) -> bool:
    """Whether `most` of `seeded` makes a difference."""
    return any(is_integer(_innermost(info.type).dtype) for info in inputs_of(model))


def seeded(model: Any, seed: int = 0, sizes: Mapping[str, int] | None = None, most: int = MOST) -> dict[str, Any]:
    """Random inputs by name: floats around 0, small whole numbers, words; lists for sequences.

    `sizes` gives open dimensions by their names in `open_dims`; the others are those of the first rung of `ladder`. Whole
    numbers go up to `most`: an index must lie in its axis.
    """
    wanted = {**next(ladder(model)), **(sizes or {})}
    draw = Draw(np.random.default_rng(seed), most)
    feeds = {info.name: _value(info, info.type, wanted, draw) for info in inputs_of(model)}
    speak(feeds, _words(model), draw.random)
    return feeds


def _words(model: Any) -> dict[Column, list[Any]]:
    """What encoders of an onnx.ModelProto or a Graph know."""
    if hasattr(model, "feeds"):
        return vocabulary(model)
    if not any(node.op_type in KEYS for node in model.graph.node):
        return {}
    from onnx_import.reader import read  # which imports onnx: it is there, if its protos are

    return vocabulary(read(model))


@dataclass(frozen=True)
class Draw:
    """Where values come from, and how large whole numbers get."""

    random: np.random.Generator
    most: int = MOST


def _value(info: ValueInfo, kind: Type, sizes: Mapping[str, int], draw: Draw) -> Any:
    if kind.kind == "sequence" and kind.element is not None:
        return [_value(info, kind.element, sizes, draw) for _ in range(3)]
    if kind.kind == "optional" and kind.element is not None:
        return _value(info, kind.element, sizes, draw)
    if kind.kind == "map" and kind.element is not None:
        keys: Iterable[Any] = WORDS[:3].tolist() if kind.dtype == "string" else range(3)
        return {key: _value(info, kind.element, sizes, draw).item() for key in keys}
    return random_array(kind.dtype, _sizes(info, kind, sizes), draw)


def _sizes(info: ValueInfo, kind: Type, sizes: Mapping[str, int]) -> list[int]:
    """An array's shape; of an open rank the smallest that most operators take."""
    dims = (2, 3) if kind.shape is None else kind.shape
    return [dim if isinstance(dim, int) and dim >= 0 else sizes[_key(info, axis, dim)] for axis, dim in enumerate(dims)]


def random_array(dtype: str, shape: Iterable[int], draw: Draw) -> Array:
    """Random values of one of ONNX's element types."""
    sizes, random = tuple(shape), draw.random
    if dtype == "string":
        return np.asarray(random.choice(WORDS, sizes), object)
    if dtype == "bool":
        return np.asarray(random.integers(0, 2, sizes), bool)
    if is_integer(dtype):
        return random.integers(*_range(dtype, sizes, draw.most), sizes, endpoint=True).astype(true_dtype(dtype))
    values = random.standard_normal(sizes)
    if not is_float(dtype):
        return (values + 1j * random.standard_normal(sizes)).astype(dtype)
    # Scales (float8_e8m0fnu) have no sign.
    return (np.abs(values) + 0.5 if "e8m0" in dtype else values).astype(true_dtype(dtype))


def _range(dtype: str, shape: tuple[int, ...], most: int) -> tuple[int, int]:
    """Bounds of whole numbers: bytes of a picture, indices that most axes have, or what may be a count or a size."""
    low, high = bounds(dtype)
    if dtype in ("uint8", "int8") and len(shape) > 2:
        return low, high
    return (0, min(most, high)) if len(shape) > 1 else (min(1, most), min(2, most, high))
